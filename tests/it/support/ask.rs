//! A request as a client sends it.

/// A request in the making.
#[derive(Clone, Debug)]
pub struct Ask {
    /// `GET`.
    pub method: String,
    head: String,
    body: Vec<u8>,
}

impl Ask {
    /// A request for `target` at the host `shop.test`.
    pub fn new(method: &str, target: &str) -> Self {
        let head = format!("{method} {target} HTTP/1.1\r\nHost: shop.test\r\n");
        Self { method: method.to_owned(), head, body: Vec::new() }
    }

    /// A GET.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A POST of a form.
    pub fn form(target: &str, form: &str) -> Self {
        Self::new("POST", target).body("application/x-www-form-urlencoded", form)
    }

    /// A login form sent to `/login`.
    pub fn login(user: &str, password: &str) -> Self {
        Self::form("/login", &format!("user={user}&password={password}"))
    }

    /// With one more field.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// To another host.
    pub fn to(mut self, host: &str) -> Self {
        self.head = self.head.replace("Host: shop.test", &format!("Host: {host}"));
        self
    }

    /// With a body.
    pub fn body(mut self, kind: &str, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        let length = self.body.len().to_string();
        self.with("Content-Type", kind).with("Content-Length", &length)
    }

    /// The request as it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        [self.head.as_bytes(), b"\r\n", &self.body].concat()
    }
}
