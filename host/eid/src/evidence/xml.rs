//! The XML signature (XML-DSig with Canonical XML 1.0), read strictly: the one form that these signatures have, without
//! prefixes, comments, processing instructions or a document type. On that form canonicalization is short enough to be
//! read; whatever is of another form is refused, so nothing can be signed in one reading and understood in another.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use roxmltree::{Document, Node, NodeType, ParsingOptions};
use rustls_pki_types::CertificateDer;
use vaxel_crypto::ct_eq;

use super::{EvidenceError, Shown};

const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
const BANKID: &str = "http://www.bankid.com/signature/v1.0.0/types";
const C14N: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const DIGEST_SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

/// Elements and texts of a signature: some fifty; more is something else.
const NODES_MAX: u32 = 500;

/// Elements within each other.
const DEPTH_MAX: usize = 12;

type Read<T> = Result<T, EvidenceError>;

/// A signature of the expected form. Nothing of it is proven before the checks.
pub(super) struct Signature {
    pub(super) signed_info: String,
    pub(super) value: Vec<u8>,
    /// The person's first.
    pub(super) certificates: Vec<CertificateDer<'static>>,
    digests: [(String, Vec<u8>); 2],
    function: String,
    visible: Option<Vec<u8>>,
    hidden: Option<Vec<u8>>,
}

impl Signature {
    pub(super) fn read(xml: &str) -> Read<Self> {
        let options = ParsingOptions {
            allow_dtd: false,
            nodes_limit: NODES_MAX,
            ..ParsingOptions::default()
        };
        let document =
            Document::parse_with_options(xml, options).map_err(|_| form("no XML to be read"))?;
        check_form(&document)?;
        let root = document.root_element();
        is(root, DSIG, "Signature")?;
        let [signed_info, value, key_info, object] = children(root)?;
        is(signed_info, DSIG, "SignedInfo")?;
        is(value, DSIG, "SignatureValue")?;
        is(key_info, DSIG, "KeyInfo")?;
        is(object, DSIG, "Object")?;
        let [data] = children(object)?;
        is(data, BANKID, "bankIdSignedData")?;
        let (data_id, key_id) = (attribute(data, "Id")?, attribute(key_info, "Id")?);
        if data_id == key_id {
            return Err(form("two parts of one name"));
        }
        let [method, algorithm, first, second] = children(signed_info)?;
        is(method, DSIG, "CanonicalizationMethod")?;
        is(algorithm, DSIG, "SignatureMethod")?;
        uses(method, C14N)?;
        uses(algorithm, RSA_SHA256)?;
        let references = [reference(first)?, reference(second)?];
        let digest_of = |id: &str, node| -> Read<(String, Vec<u8>)> {
            let wanted = format!("#{id}");
            let mut of = references.iter().filter(|(uri, _)| *uri == wanted);
            match (of.next(), of.next()) {
                (Some((_, digest)), None) => Ok((canonical(node), digest.clone())),
                _ => Err(form("a part that is not signed")),
            }
        };
        let digests = [digest_of(data_id, data)?, digest_of(key_id, key_info)?];
        let [x509] = children(key_info)?;
        is(x509, DSIG, "X509Data")?;
        let certificates: Read<Vec<_>> = elements(x509)
            .map(|certificate| {
                is(certificate, DSIG, "X509Certificate")?;
                Ok(CertificateDer::from(base64_of(certificate)?))
            })
            .collect();
        let client = one(data, "clientInfo")?.ok_or(form("no clientInfo"))?;
        let function = one(client, "funcId")?.ok_or(form("no funcId"))?;
        let content =
            |name| -> Read<Option<Vec<u8>>> { one(data, name)?.map(base64_of).transpose() };
        Ok(Self {
            signed_info: canonical(signed_info),
            value: base64_of(value)?,
            certificates: certificates?,
            digests,
            function: text(function)?,
            visible: content("usrVisibleData")?,
            hidden: content("usrNonVisibleData")?,
        })
    }

    /// Whether data and certificates are those that the signed part names.
    pub(super) fn check_digests(&self) -> Read<()> {
        let fits = self.digests.iter().all(|(canonical, expected)| {
            ct_eq(digest(&SHA256, canonical.as_bytes()).as_ref(), expected)
        });
        if fits {
            Ok(())
        } else {
            Err(EvidenceError::Digest)
        }
    }

    /// Whether it is what was shown, and for what it was shown.
    pub(super) fn check_shown(&self, shown: Shown<'_>) -> Read<()> {
        let function = if shown.sign {
            "Signing"
        } else {
            "Identification"
        };
        let visible = self.visible.as_deref().unwrap_or_default();
        let hidden = self.hidden.as_deref().unwrap_or_default();
        if self.function == function
            && visible == shown.visible.as_bytes()
            && hidden == shown.hidden
        {
            Ok(())
        } else {
            Err(EvidenceError::NotShown)
        }
    }
}

const fn form(why: &'static str) -> EvidenceError {
    EvidenceError::Form(why)
}

/// Only elements and texts, none with a prefix, none in the depths, and no name of a part twice.
fn check_form(document: &Document<'_>) -> Read<()> {
    let mut names = Vec::new();
    for node in document.descendants() {
        match node.node_type() {
            NodeType::Root | NodeType::Text => {}
            NodeType::Element => {
                let has_prefixes = node
                    .namespaces()
                    .any(|ns| ns.name().is_some_and(|name| name != "xml"))
                    || node.attributes().any(|a| a.namespace().is_some());
                if has_prefixes || node.tag_name().namespace().is_none() {
                    return Err(form("a prefix"));
                }
                if node.ancestors().count() > DEPTH_MAX {
                    return Err(form("too deep"));
                }
                for attribute in node.attributes() {
                    let is_id = attribute.name().eq_ignore_ascii_case("id");
                    if is_id && names.contains(&attribute.value()) {
                        return Err(form("two parts of one name"));
                    }
                    if is_id {
                        names.push(attribute.value());
                    }
                }
            }
            NodeType::PI | NodeType::Comment => return Err(form("a comment or an instruction")),
        }
    }
    Ok(())
}

fn elements<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

fn children<'a, 'i, const N: usize>(node: Node<'a, 'i>) -> Read<[Node<'a, 'i>; N]> {
    let all: Vec<_> = elements(node).collect();
    all.try_into()
        .map_err(|_| form("more or fewer parts than there are"))
}

fn is(node: Node<'_, '_>, namespace: &str, name: &str) -> Read<()> {
    let tag = node.tag_name();
    if tag.namespace() == Some(namespace) && tag.name() == name {
        Ok(())
    } else {
        Err(form("another part than expected"))
    }
}

/// The one child of this name, if there is one.
fn one<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Read<Option<Node<'a, 'i>>> {
    let mut found = elements(node).filter(|child| child.tag_name().name() == name);
    match (found.next(), found.next()) {
        (Some(one), None) => is(one, BANKID, name).map(|()| Some(one)),
        (None, _) => Ok(None),
        _ => Err(form("a part twice")),
    }
}

fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Read<&'a str> {
    node.attribute(name).ok_or(form("a name is missing"))
}

fn uses(node: Node<'_, '_>, algorithm: &str) -> Read<()> {
    if attribute(node, "Algorithm")? == algorithm && !node.has_children() {
        Ok(())
    } else {
        Err(form("another algorithm"))
    }
}

/// What a reference names, and its digest.
fn reference<'a>(node: Node<'a, '_>) -> Read<(&'a str, Vec<u8>)> {
    is(node, DSIG, "Reference")?;
    let [transforms, method, value] = children(node)?;
    is(transforms, DSIG, "Transforms")?;
    let [transform] = children(transforms)?;
    is(transform, DSIG, "Transform")?;
    uses(transform, C14N)?;
    is(method, DSIG, "DigestMethod")?;
    uses(method, DIGEST_SHA256)?;
    is(value, DSIG, "DigestValue")?;
    Ok((attribute(node, "URI")?, base64_of(value)?))
}

fn text(node: Node<'_, '_>) -> Read<String> {
    if node.children().any(|child| !child.is_text()) {
        return Err(form("parts where text is"));
    }
    Ok(node.children().filter_map(|child| child.text()).collect())
}

fn base64_of(node: Node<'_, '_>) -> Read<Vec<u8>> {
    let packed: String = text(node)?
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .collect();
    BASE64.decode(packed).map_err(|_| form("no Base64"))
}

/// Canonical XML 1.0 of one element and what is in it, on the form that was checked: one namespace in force at a time.
fn canonical(apex: Node<'_, '_>) -> String {
    let mut out = String::new();
    write(apex, None, &mut out);
    out
}

// Recursive: the depth was checked.
fn write(node: Node<'_, '_>, in_force: Option<&str>, out: &mut String) {
    if let Some(text) = node.text().filter(|_| node.is_text()) {
        for c in text.chars() {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '\r' => out.push_str("&#xD;"),
                c => out.push(c),
            }
        }
        return;
    }
    let name = node.tag_name();
    out.push('<');
    out.push_str(name.name());
    let namespace = name.namespace();
    if namespace != in_force {
        attribute_to("xmlns", namespace.unwrap_or_default(), out);
    }
    let mut attributes: Vec<_> = node.attributes().map(|a| (a.name(), a.value())).collect();
    attributes.sort_unstable();
    for (name, value) in attributes {
        attribute_to(name, value, out);
    }
    out.push('>');
    for child in node.children() {
        write(child, namespace, out);
    }
    out.push_str("</");
    out.push_str(name.name());
    out.push('>');
}

fn attribute_to(name: &str, value: &str, out: &mut String) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push_str("&#x9;"),
            '\n' => out.push_str("&#xA;"),
            '\r' => out.push_str("&#xD;"),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canonical_form_is_the_standards() {
        // Self-closing elements open up, attributes are ordered, namespaces are said where they change and at the apex.
        let xml = "<?xml version=\"1.0\"?>\n<a xmlns=\"urn:a\">\r\n <b z='1' a=\"x&#10;&quot;\"/><c xmlns=\"urn:c\"><d xmlns=\"urn:c\">&lt;&gt;&amp;&#13;\u{e5}<![CDATA[<]]></d></c></a>";
        let document = Document::parse(xml).unwrap();
        let root = document.root_element();
        assert_eq!(
            canonical(root),
            "<a xmlns=\"urn:a\">\n <b a=\"x&#xA;&quot;\" z=\"1\"></b><c xmlns=\"urn:c\"><d>&lt;&gt;&amp;&#xD;\u{e5}&lt;</d></c></a>"
        );
        let b = elements(root).next().unwrap();
        assert_eq!(
            canonical(b),
            "<b xmlns=\"urn:a\" a=\"x&#xA;&quot;\" z=\"1\"></b>"
        );
    }

    #[test]
    fn other_forms_are_refused_before_anything_is_computed() {
        for xml in [
            "",
            "<a",
            "<!DOCTYPE a [<!ENTITY x 'y'>]><Signature xmlns='http://www.w3.org/2000/09/xmldsig#'>&x;</Signature>",
            "<Signature/>",
            "<ds:Signature xmlns:ds='http://www.w3.org/2000/09/xmldsig#'/>",
            "<Signature xmlns='http://www.w3.org/2000/09/xmldsig#'><!-- --></Signature>",
            "<Signature xmlns='http://www.w3.org/2000/09/xmldsig#'><?a b?></Signature>",
            "<Signature xmlns='http://www.w3.org/2000/09/xmldsig#' xml:space='preserve'/>",
            "<Signature xmlns='http://www.w3.org/2000/09/xmldsig#'><SignedInfo Id='a'/><KeyInfo Id='a'/></Signature>",
            &format!(
                "<Signature xmlns='http://www.w3.org/2000/09/xmldsig#'>{}",
                "<a>".repeat(2_000)
            ),
        ] {
            let read = Signature::read(xml);
            assert!(matches!(read, Err(EvidenceError::Form(_))), "{xml:.80}");
        }
    }
}
