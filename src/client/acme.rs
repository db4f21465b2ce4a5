//! HTTP for conversations with ACME servers: bounded in time and size.

use std::error::Error as StdError;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::Request;
use instant_acme::{BodyWrapper, BytesBody, BytesResponse, Error, HttpClient};
use rustls::RootCertStore;

use crate::client::tls;

/// A chain of certificates takes some 10 KB, everything else less.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A client that believes the authorities in the file `ca`, and nobody else.
pub fn http_trusting(ca: &Path) -> anyhow::Result<Box<dyn HttpClient>> {
    let mut roots = RootCertStore::empty();
    for certificate in tls::authorities(ca)? {
        roots.add(certificate).context("an authority that cannot be used")?;
    }
    http(roots)
}

/// A client that believes `roots`.
pub fn http(roots: RootCertStore) -> anyhow::Result<Box<dyn HttpClient>> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::checked(roots)?)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(ANSWER_WITHIN)
        .no_proxy()
        .https_only(true)
        .build()
        .context("cannot set up calls to an ACME server")?;
    Ok(Box::new(Http(client)))
}

struct Http(reqwest::Client);

type Boxed = Box<dyn StdError + Send + Sync>;

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move { send(client, request).await.map_err(Error::Other) })
    }
}

async fn send(
    client: reqwest::Client,
    request: Request<BodyWrapper<Bytes>>,
) -> Result<BytesResponse, Boxed> {
    let (parts, body) = request.into_parts();
    // All of it, with its length: some servers take no chunks.
    let body = BytesResponse::from(http::Response::new(body)).body.into_bytes().await?;
    let request = client.request(parts.method, parts.uri.to_string()).headers(parts.headers);
    let mut answer = request.body(body).send().await.map_err(why)?;
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = answer.status();
    parts.headers = std::mem::take(answer.headers_mut());
    let mut bytes = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(why)? {
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err("the answer is larger than 1 MiB".into());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(BytesResponse { parts, body: Box::new(Whole(bytes.freeze())) })
}

/// A body that is there already.
struct Whole(Bytes);

#[async_trait]
impl BytesBody for Whole {
    async fn into_bytes(&mut self) -> Result<Bytes, Boxed> {
        Ok(std::mem::take(&mut self.0))
    }
}

/// What went wrong, down to the cause that helps.
#[expect(clippy::needless_pass_by_value, reason = "the shape map_err wants")]
fn why(error: reqwest::Error) -> Boxed {
    let mut cause: &dyn StdError = &error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    match cause.downcast_ref::<rustls::Error>() {
        Some(error) => format!("TLS: {}", tls::explain(error)).into(),
        None if error.is_timeout() => "no answer in time".into(),
        None => cause.to_string().into(),
    }
}
