//! What servers are told about the client of a request that is passed on to them. Whatever the request itself
//! said is dropped: a server may believe all of it.

use std::net::IpAddr;

use http::header;
use pingora::http::RequestHeader;
use pingora_core::Result;

use crate::edge::client::{
    Client, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, X_REAL_IP, is_host,
};

/// Names of other proxies' ways to say the same, some of which servers believe.
const OTHERS: [&str; 8] = [
    "x-forwarded",
    "x-forwarded-port",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-forwarded-scheme",
    "x-original-host",
    "x-client-ip",
    "true-client-ip",
];

/// Writes who the client is into `request`, in place of whatever was there.
pub fn write(client: &Client, request: &mut RequestHeader) -> Result<()> {
    for name in OTHERS {
        request.remove_header(name);
    }
    let (scheme, address) = (client.scheme.name(), client.address);
    request.insert_header(X_FORWARDED_FOR, address.to_string())?;
    request.insert_header(X_REAL_IP, address.to_string())?;
    request.insert_header(X_FORWARDED_PROTO, scheme)?;
    let host = client.host.as_deref().filter(|host| is_host(host));
    match host {
        Some(host) => request.insert_header(X_FORWARDED_HOST, host)?,
        None => drop(request.remove_header(&X_FORWARDED_HOST)),
    }
    request.insert_header(header::FORWARDED, line(address, scheme, host))
}

/// As RFC 7239 writes it.
fn line(address: IpAddr, scheme: &str, host: Option<&str>) -> String {
    let address = match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("\"[{address}]\""),
    };
    let host = host.map(|host| format!(";host=\"{host}\"")).unwrap_or_default();
    format!("for={address};proto={scheme}{host}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::client::Scheme;

    #[test]
    fn what_the_client_said_is_gone() {
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        for name in
            ["X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "X-Real-IP", "X-Forwarded-Port"]
        {
            request.append_header(name, "evil").unwrap();
            request.append_header(name, "worse").unwrap();
        }
        let address = "2001:db8::7".parse().unwrap();
        let mut client =
            Client { address, scheme: Scheme::Https, host: Some("bbb.test".to_owned()) };
        write(&client, &mut request).unwrap();
        let all = |request: &RequestHeader, name: &str| {
            let values =
                request.headers.get_all(name).iter().map(|v| v.to_str().unwrap().to_owned());
            values.collect::<Vec<_>>()
        };
        assert_eq!(all(&request, "x-forwarded-for"), ["2001:db8::7"]);
        assert_eq!(all(&request, "x-real-ip"), ["2001:db8::7"]);
        assert_eq!(all(&request, "x-forwarded-host"), ["bbb.test"]);
        assert_eq!(all(&request, "x-forwarded-proto"), ["https"]);
        assert_eq!(
            all(&request, "forwarded"),
            ["for=\"[2001:db8::7]\";proto=https;host=\"bbb.test\""]
        );
        assert!(all(&request, "x-forwarded-port").is_empty());
        client.host = Some("a\"b".to_owned());
        write(&client, &mut request).unwrap();
        assert!(all(&request, "x-forwarded-host").is_empty());
        assert_eq!(all(&request, "forwarded"), ["for=\"[2001:db8::7]\";proto=https"]);
    }
}
