//! `multipart/form-data` on calls that take parameters in it: its text fields become the form they would have
//! been URL-encoded. Files are no parameters; the calls that take some never come here.

use bytes::Bytes;

use crate::bbb::fault::Fault;
use crate::bbb::form;

/// More fields than any call has parameters.
const FIELDS_MAX: usize = 1000;

/// The fields of `body` as a URL-encoded form.
pub(crate) async fn as_form(content_type: &str, body: Bytes) -> Result<String, Fault> {
    let boundary =
        multer::parse_boundary(content_type).map_err(|_| Fault::unsupported_content_type())?;
    let whole = futures::stream::iter([Ok::<_, std::convert::Infallible>(body)]);
    let mut multipart = multer::Multipart::new(whole, boundary);
    let mut fields: Vec<(String, String)> = Vec::new();
    while let Some(field) = multipart.next_field().await.map_err(|_| Fault::request_incomplete())? {
        let name = field.name().filter(|_| field.file_name().is_none()).map(str::to_owned);
        let value = field.bytes().await.map_err(|_| Fault::request_incomplete())?;
        if let Some(name) = name {
            fields.push((name, String::from_utf8_lossy(&value).into_owned()));
        }
        if fields.len() > FIELDS_MAX {
            return Err(Fault::malformed_request());
        }
    }
    Ok(form::encode(fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn form(body: &'static str) -> Result<String, Fault> {
        as_form("multipart/form-data; boundary=XX", Bytes::from_static(body.as_bytes())).await
    }

    #[tokio::test]
    async fn text_fields_become_a_form_and_files_do_not() {
        let body = "--XX\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nGröße & Co\r\n\
                    --XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\
                    Content-Type: application/pdf\r\n\r\n%PDF\r\n\
                    --XX\r\nContent-Disposition: form-data; name=\"meetingID\"\r\n\r\nm\r\n--XX--\r\n";
        assert_eq!(form(body).await.unwrap(), "name=Gr%C3%B6%C3%9Fe+%26+Co&meetingID=m");
    }

    #[tokio::test]
    async fn what_ends_early_or_has_no_boundary_is_refused() {
        let cut = "--XX\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nGr";
        assert_eq!(form(cut).await, Err(Fault::request_incomplete()));
        let without = as_form("multipart/form-data", Bytes::new()).await;
        assert_eq!(without, Err(Fault::unsupported_content_type()));
    }
}
