//! The stand-in's authorities: one for its own TLS, one for relying parties, one for people; and what people's phones
//! make: signatures (XML-DSig) with the OCSP response that proves the certificate.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize, SerialNumber, SigningKey,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::der::{bits, octets, oid, sequence, tagged, time};

/// Somebody with a BankID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Someone {
    pub personal_number: String,
    pub given_name: String,
    pub surname: String,
}

impl Someone {
    pub fn new(personal_number: &str, given_name: &str, surname: &str) -> Self {
        Self {
            personal_number: personal_number.to_owned(),
            given_name: given_name.to_owned(),
            surname: surname.to_owned(),
        }
    }

    /// Åsa, who is in most stories.
    pub fn asa() -> Self {
        Self::new("199006292362", "ÅSA", "SVENSSON")
    }

    /// Bo, who is somebody else.
    pub fn bo() -> Self {
        Self::new("198001011231", "BO", "EK")
    }
}

/// How what a phone makes does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
    /// What was signed is changed afterwards.
    ChangedData,
    /// Another key signed.
    OtherKey,
    /// Another root's authority issued the certificate.
    OtherRoot,
    /// The OCSP response says that the certificate was revoked.
    Revoked,
    /// The OCSP response was made for another signature.
    OtherNonce,
    /// A responder signed that is none.
    NoResponder,
    /// The responder of another bank under the same root signed.
    OtherResponder,
    /// Another text was shown on the phone.
    OtherText,
    /// Bo signed, and the answer says that it was somebody else.
    OtherPerson,
}

/// A certificate with its key.
struct Held {
    params: CertificateParams,
    certificate: Certificate,
    key: KeyPair,
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Held {
    fn root(name: &str) -> Self {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("an authority");
        Self {
            params,
            certificate,
            key,
        }
    }

    fn authority(&self, name: &str) -> Self {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        self.signs(params, KeyPair::generate().expect("a key"))
    }

    fn responder(&self) -> Self {
        let mut params = named("Stand-in OCSP");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        self.signs(params, KeyPair::generate().expect("a key"))
    }

    fn signs(&self, params: CertificateParams, key: KeyPair) -> Self {
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        Self {
            params,
            certificate,
            key,
        }
    }

    fn der(&self) -> &[u8] {
        self.certificate.der()
    }
}

/// Everything that is issued.
pub struct Authorities {
    api_root: Held,
    parties: Held,
    people_root: Held,
    bank: Held,
    people: Held,
    responder: Held,
    other_bank: Held,
    other_responder: Held,
    foreign: Held,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Pem {
    pub certificate: String,
    pub key: String,
}

impl Authorities {
    pub fn new() -> Self {
        let people_root = Held::root("Stand-in Root CA");
        let bank = people_root.authority("Stand-in Bank CA");
        let people = bank.authority("Stand-in Customer CA");
        let other_bank = people_root.authority("Stand-in Other Bank CA");
        let responder = people.responder();
        let other_responder = other_bank.responder();
        Self {
            api_root: Held::root("Stand-in SSL Root CA"),
            parties: Held::root("Stand-in Relying Party CA"),
            foreign: Held::root("Somebody's Root CA").authority("Somebody's CA"),
            people_root,
            bank,
            people,
            responder,
            other_bank,
            other_responder,
        }
    }

    /// What the host must trust for the API.
    pub fn api_root(&self) -> String {
        self.api_root.certificate.pem()
    }

    /// What the host must trust for signatures.
    pub fn people_root(&self) -> String {
        self.people_root.certificate.pem()
    }

    pub(super) fn parties_der(&self) -> Vec<u8> {
        self.parties.der().to_vec()
    }

    /// The API's own certificate.
    pub(super) fn server(&self) -> (Vec<u8>, Vec<u8>) {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let params = CertificateParams::new(names).expect("parameters");
        let server = self
            .api_root
            .signs(params, KeyPair::generate().expect("a key"));
        (server.der().to_vec(), server.key.serialize_der())
    }

    /// A relying party's certificate, good for so many days.
    pub fn party(&self, name: &str, days: u64) -> Pem {
        let mut params = named(name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let ends = the_time() + std::time::Duration::from_secs(days * 86_400);
        params.not_after = ends.into();
        let party = self
            .parties
            .signs(params, KeyPair::generate().expect("a key"));
        Pem {
            certificate: party.certificate.pem(),
            key: party.key.serialize_pem(),
        }
    }

    /// What the phone sends: the signature and the OCSP response, both in Base64.
    pub(super) fn signs(&self, signing: &Signing<'_>) -> (String, String) {
        let forged = |forgery| signing.forgery == Some(forgery);
        let issuer = if forged(Forgery::OtherRoot) {
            &self.foreign
        } else {
            &self.people
        };
        let someone = if forged(Forgery::OtherPerson) {
            Someone::bo()
        } else {
            signing.someone.clone()
        };
        let person = issuer.signs(person(&someone), rsa());
        let visible = if forged(Forgery::OtherText) {
            BASE64.encode("Skicka 10 000 kr")
        } else {
            signing.visible.to_owned()
        };
        let data = data(signing, &visible);
        let chain = [person.der(), issuer.der(), self.bank.der()];
        let key_info = key_info(&chain);
        let signed_info = signed_info(&data, &key_info);
        let other = rsa();
        let key = if forged(Forgery::OtherKey) {
            &other
        } else {
            &person.key
        };
        let value = BASE64.encode(key.sign(signed_info.as_bytes()).expect("a signature"));
        let data = if forged(Forgery::ChangedData) {
            data.replace("Ny4y", "Nw==")
        } else {
            data
        };
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?><Signature xmlns=\"{DSIG}\">{signed_info}\
             <SignatureValue>{value}</SignatureValue>{key_info}<Object>{data}</Object></Signature>"
        );
        let signature = BASE64.encode(xml);
        let ocsp = self.responds(&person, issuer, &signature, signing.forgery);
        (signature, BASE64.encode(ocsp))
    }

    fn responds(
        &self,
        person: &Held,
        issuer: &Held,
        signature: &str,
        forgery: Option<Forgery>,
    ) -> Vec<u8> {
        let now = now();
        let status = if forgery == Some(Forgery::Revoked) {
            tagged(0xa1, &time(&now))
        } else {
            tagged(0x80, &[])
        };
        let (_, cert) = X509Certificate::from_der(person.der()).expect("a certificate");
        let single = sequence(&[cert_id(&cert, issuer), status, time(&now)]);
        let text = if forgery == Some(Forgery::OtherNonce) {
            "another"
        } else {
            signature
        };
        let nonce = [sha1(text.as_bytes()), vec![7; 12]].concat();
        let nonce = sequence(&[
            oid(&[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 2]),
            tagged(0x01, &[0xff]),
            octets(&nonce),
        ]);
        let signer = match forgery {
            Some(Forgery::NoResponder) => person,
            Some(Forgery::OtherResponder) => &self.other_responder,
            _ => &self.responder,
        };
        let (_, signer_cert) = X509Certificate::from_der(signer.der()).expect("a certificate");
        let key_hash = sha1(&signer_cert.public_key().subject_public_key.data);
        let data = sequence(&[
            tagged(0xa2, &octets(&key_hash)),
            time(&now),
            sequence(&[single]),
            tagged(0xa1, &sequence(&[nonce])),
        ]);
        let ecdsa_sha256 = sequence(&[oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2])]);
        let rsa_sha256 = sequence(&[
            oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11]),
            tagged(0x05, &[]),
        ]);
        let algorithm = if forgery == Some(Forgery::NoResponder) {
            rsa_sha256
        } else {
            ecdsa_sha256
        };
        let signed = signer.key.sign(&data).expect("a signature");
        let mut shown = vec![signer.der().to_vec()];
        if forgery == Some(Forgery::OtherResponder) {
            shown.push(self.other_bank.der().to_vec());
        }
        let basic = sequence(&[
            data,
            algorithm,
            bits(&signed),
            tagged(0xa0, &sequence(&shown)),
        ]);
        let bytes = sequence(&[oid(&[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1]), octets(&basic)]);
        sequence(&[tagged(0x0a, &[0]), tagged(0xa0, &bytes)])
    }
}

impl Default for Authorities {
    fn default() -> Self {
        Self::new()
    }
}

/// What is signed, and how badly.
pub(super) struct Signing<'a> {
    pub(super) someone: &'a Someone,
    pub(super) sign: bool,
    /// Base64, as the relying party sent it.
    pub(super) visible: &'a str,
    pub(super) hidden: Option<&'a str>,
    pub(super) forgery: Option<Forgery>,
}

const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";

fn rsa() -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key")
}

fn person(someone: &Someone) -> CertificateParams {
    let mut params = named(&format!("{} {}", someone.given_name, someone.surname));
    let number = rcgen::string::PrintableString::try_from(someone.personal_number.as_str());
    params.distinguished_name.push(
        DnType::CustomDnType(vec![2, 5, 4, 5]),
        rcgen::DnValue::PrintableString(number.expect("digits")),
    );
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let mut serial = aws_lc_rs::rand::generate::<[u8; 8]>(&aws_lc_rs::rand::SystemRandom::new())
        .expect("random bytes")
        .expose();
    serial[0] = (serial[0] & 0x7f) | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params
}

fn data(signing: &Signing<'_>, visible: &str) -> String {
    let hidden = signing.hidden.map_or_else(String::new, |hidden| {
        format!("<usrNonVisibleData>{hidden}</usrNonVisibleData>")
    });
    let function = if signing.sign {
        "Signing"
    } else {
        "Identification"
    };
    format!(
        "<bankIdSignedData xmlns=\"http://www.bankid.com/signature/v1.0.0/types\" Id=\"bidSignedData\">\
         <usrVisibleData charset=\"UTF-8\" visible=\"wysiwys\">{visible}</usrVisibleData>{hidden}\
         <srvInfo><name>Y24=</name><nonce>YQ==</nonce><displayName>YWNtZQ==</displayName></srvInfo>\
         <clientInfo><funcId>{function}</funcId><version>Ny4y</version><env><ai><type>QU5EUk9JRA==</type>\
         <deviceInfo>eA==</deviceInfo><uhi>eA==</uhi><fsib>0</fsib><utb>cs1</utb></ai></env></clientInfo>\
         </bankIdSignedData>"
    )
}

fn key_info(chain: &[&[u8]]) -> String {
    let certificates: String = chain
        .iter()
        .map(|der| format!("<X509Certificate>{}</X509Certificate>", BASE64.encode(der)))
        .collect();
    format!(
        "<KeyInfo xmlns=\"{DSIG}\" Id=\"bidKeyInfo\"><X509Data>{certificates}</X509Data></KeyInfo>"
    )
}

fn signed_info(data: &str, key_info: &str) -> String {
    const C14N: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
    let reference = |kind: &str, uri: &str, of: &str| {
        let digest = BASE64.encode(digest(&SHA256, of.as_bytes()));
        format!(
            "<Reference{kind} URI=\"#{uri}\"><Transforms><Transform Algorithm=\"{C14N}\"></Transform></Transforms>\
             <DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></DigestMethod>\
             <DigestValue>{digest}</DigestValue></Reference>"
        )
    };
    format!(
        "<SignedInfo xmlns=\"{DSIG}\"><CanonicalizationMethod Algorithm=\"{C14N}\"></CanonicalizationMethod>\
         <SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256\"></SignatureMethod>{}{}</SignedInfo>",
        reference(
            " Type=\"http://www.bankid.com/signature/v1.0.0/types\"",
            "bidSignedData",
            data
        ),
        reference("", "bidKeyInfo", key_info),
    )
}

fn hash(algorithm: &'static Algorithm, bytes: &[u8]) -> Vec<u8> {
    digest(algorithm, bytes).as_ref().to_vec()
}

fn sha1(bytes: &[u8]) -> Vec<u8> {
    hash(&SHA1_FOR_LEGACY_USE_ONLY, bytes)
}

fn cert_id(certificate: &X509Certificate<'_>, issuer: &Held) -> Vec<u8> {
    let (_, issuer) = X509Certificate::from_der(issuer.der()).expect("a certificate");
    sequence(&[
        sequence(&[oid(&[0x2b, 0x0e, 3, 2, 0x1a]), tagged(0x05, &[])]),
        octets(&sha1(issuer.subject().as_raw())),
        octets(&sha1(&issuer.public_key().subject_public_key.data)),
        tagged(0x02, certificate.raw_serial()),
    ])
}

/// The stand-in stands outside: it has the machine's clock.
#[allow(clippy::disallowed_methods, reason = "a server of another company's")]
fn the_time() -> SystemTime {
    SystemTime::now()
}

/// Now, as OCSP writes it.
fn now() -> String {
    let seconds = the_time().duration_since(UNIX_EPOCH);
    let seconds = seconds.expect("after 1970").as_secs();
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days as i64);
    format!(
        "{year:04}{month:02}{day:02}{:02}{:02}{:02}Z",
        of_day / 3_600,
        of_day / 60 % 60,
        of_day % 60
    )
}

/// The date of a day since 1970 (the well-known algorithm on 400-year eras).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}
