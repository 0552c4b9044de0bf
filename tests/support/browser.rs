//! A browser without script, in front of a page that asks who looks: cookies, pages, forms, and what a camera sees of it.

use bytes::Bytes;
use http::{Method, Request, Response};
use vaxel_client::RequestOptions;

use crate::{Client, patiently};

/// A browser without script: cookies, pages, forms.
pub struct Browser {
    pub client: Client,
    pub agent: &'static str,
}

pub struct Page {
    pub status: u16,
    pub text: String,
    pub location: Option<String>,
}

impl Page {
    fn of(response: &Response<Bytes>) -> Self {
        let location = response.headers().get("location");
        Self {
            status: response.status().as_u16(),
            text: String::from_utf8_lossy(response.body()).into_owned(),
            location: location.map(|to| to.to_str().unwrap().to_owned()),
        }
    }

    pub fn token(&self) -> String {
        let (_, rest) = self
            .text
            .split_once("name=\"_token\" value=\"")
            .unwrap_or_else(|| panic!("no form in {}", self.text));
        rest.split_once('"').unwrap().0.to_owned()
    }

    pub fn hidden(&self, name: &str) -> Option<String> {
        let (_, rest) = self.text.split_once(&format!("name=\"{name}\" value=\""))?;
        Some(rest.split_once('"').unwrap().0.to_owned())
    }

    /// What stands between two pieces of text.
    pub fn between(&self, before: &str, after: &str) -> String {
        let (_, rest) = self
            .text
            .split_once(before)
            .unwrap_or_else(|| panic!("no {before} in {}", self.text));
        rest.split_once(after).unwrap().0.to_owned()
    }

    pub fn sent_to(&self) -> &str {
        self.location
            .as_deref()
            .unwrap_or_else(|| panic!("{} {}", self.status, self.text))
    }
}

impl Browser {
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: String,
        origin: Option<&str>,
    ) -> Page {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("accept-language", "en")
            .header("user-agent", self.agent)
            .header("content-type", "application/x-www-form-urlencoded");
        let options = RequestOptions {
            origin: origin.map(str::to_owned),
            ..RequestOptions::default()
        };
        let response = self.client.send(request, Bytes::from(body), &options).await;
        Page::of(&response.unwrap())
    }

    pub async fn get(&self, path: &str) -> Page {
        self.send(Method::GET, path, String::new(), None).await
    }

    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let each = fields.iter().map(|(name, value)| {
            let value: String = value.bytes().map(|b| format!("%{b:02X}")).collect();
            format!("{name}={value}")
        });
        let body = each.collect::<Vec<_>>().join("&");
        self.send(Method::POST, path, body, None).await
    }

    /// Opens a guarded page, which asks who they are, and chooses how. Answers the order's address.
    pub async fn begins(&self, purpose: &str, how: &str) -> String {
        let begun = self.chooses(purpose, how).await;
        assert_eq!(begun.status, 303, "{}", begun.text);
        begun.sent_to().to_owned()
    }

    pub async fn chooses(&self, purpose: &str, how: &str) -> Page {
        self.chooses_at(&format!("/p/paged/guarded/{purpose}"), how)
            .await
    }

    /// Chooses how at a page that asks who looks.
    pub async fn chooses_at(&self, path: &str, how: &str) -> Page {
        let asked = self.get(path).await;
        assert!(asked.text.contains("Show who you are"), "{}", asked.text);
        assert!(!asked.text.contains("Only for those"), "{}", asked.text);
        self.post(path, &[("_token", &asked.token()), ("_step", how)])
            .await
    }

    pub async fn types(&self, purpose: &str, pin: &str) -> Page {
        self.types_at(&format!("/p/paged/guarded/{purpose}"), pin)
            .await
    }

    pub async fn types_at(&self, path: &str, pin: &str) -> Page {
        let asked = self.get(path).await;
        let fields = [("_token", &*asked.token()), ("_pin", pin), ("_step", "pin")];
        self.post(path, &fields).await
    }

    /// Fills in the page at a path, with the proof that this browser holds for it, and presses its first button.
    pub async fn sends(&self, path: &str, filled: &[(&str, &str)]) -> Page {
        let page = self.get(path).await;
        let hidden = |name| page.hidden(name).unwrap_or_default();
        let (token, proof, action) = (page.token(), hidden("_proof"), hidden("_action"));
        let mut fields = vec![("_token", &*token), ("_proof", &*proof)];
        fields.extend(filled);
        fields.push(("_action", &*action));
        self.post(path, &fields).await
    }

    /// Looks until the order has ended, and answers that page.
    pub async fn waits(&self, order: &str) -> Page {
        patiently("the end of an order", async {
            loop {
                let page = self.get(order).await;
                if page.status == 303 || !page.text.contains("id=\"order\"") {
                    return page;
                }
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        })
        .await
    }

    /// What the camera of a phone sees.
    pub async fn shows_code(&self, order: &str) -> String {
        let page = self.get(order).await;
        assert!(page.text.contains("id=\"code\""), "{}", page.text);
        let svg = self.get(&format!("{order}/code.svg")).await;
        assert_eq!(svg.status, 200);
        read_code(&svg.text)
    }

    /// Fills in the guarded page and sends it.
    pub async fn answers(&self, purpose: &str, answer: &str) -> Page {
        let path = format!("/p/paged/guarded/{purpose}");
        let page = self.get(&path).await;
        assert!(page.text.contains("Only for those"), "{}", page.text);
        let proof = page.hidden("_proof").unwrap();
        let fields = [
            ("_token", &*page.token()),
            ("_proof", &proof),
            ("t.answer", answer),
            ("_action", "send"),
        ];
        self.post(&path, &fields).await
    }
}

/// Reads a drawn code as a camera would: dark modules from the path, then the decoder.
fn read_code(svg: &str) -> String {
    let (_, rest) = svg.split_once("viewBox=\"0 0 ").unwrap();
    let side: usize = rest.split_once(' ').unwrap().0.parse().unwrap();
    let (_, path) = svg.rsplit_once("d=\"").unwrap();
    let mut dark = vec![false; side * side];
    for module in path.split('M').skip(1) {
        let (x, rest) = module.split_once(' ').unwrap();
        let y = rest.split_once('h').unwrap().0;
        let (x, y): (usize, usize) = (x.parse().unwrap(), y.parse().unwrap());
        dark[y * side + x] = true;
    }
    // Each module four pixels wide, as a screen shows it.
    let scale = 4;
    let mut image =
        rqrr::PreparedImage::prepare_from_greyscale(side * scale, side * scale, |x, y| {
            if dark[(y / scale) * side + x / scale] {
                0
            } else {
                255
            }
        });
    let grids = image.detect_grids();
    assert_eq!(grids.len(), 1, "one code");
    grids[0].decode().unwrap().1
}
