//! The PROXY protocol, versions 1 and 2: a header in which a load balancer in front says whose connection it
//! passes on (HAProxy's proxy-protocol.txt). Read from trusted addresses only, before TLS and before HTTP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest header of version 1, with its line break.
const LINE_BYTES_MAX: usize = 107;
/// What may follow the fixed part of a version 2 header. The addresses take 36 bytes; the rest, of whatever
/// kind, is skipped.
const REST_BYTES_MAX: usize = 2048;
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// What a header says of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It comes from there.
    From(SocketAddr),
    /// The load balancer speaks for itself (a health check), or does not know.
    Nothing,
}

/// No header, or one that cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoHeader;

impl From<NoHeader> for io::Error {
    fn from(_: NoHeader) -> Self {
        Self::new(io::ErrorKind::InvalidData, "the connection does not begin with a PROXY header")
    }
}

/// Reads a header and not a byte more. The caller sees to a time limit.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Said> {
    let mut start = [0; SIGNATURE.len()];
    // Shorter than any header of either version.
    stream.read_exact(&mut start).await?;
    if start == SIGNATURE {
        let mut fixed = [0; 4];
        stream.read_exact(&mut fixed).await?;
        let [command, family, high, low] = fixed;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length > REST_BYTES_MAX {
            return Err(NoHeader.into());
        }
        let mut rest = vec![0; length];
        stream.read_exact(&mut rest).await?;
        return Ok(binary(command, family, &rest)?);
    }
    if !start.starts_with(b"PROXY ") {
        return Err(NoHeader.into());
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() == LINE_BYTES_MAX {
            return Err(NoHeader.into());
        }
        // What follows belongs to the next protocol, so each byte is looked at before the next is taken.
        line.push(stream.read_u8().await?);
    }
    let text = line.strip_suffix(b"\r\n").unwrap_or_default();
    Ok(line_of(text)?)
}

/// A header of version 1, without its line break.
pub fn line_of(line: &[u8]) -> Result<Said, NoHeader> {
    let text = std::str::from_utf8(line).map_err(|_| NoHeader)?;
    let mut words = text.split(' ');
    if words.next() != Some("PROXY") {
        return Err(NoHeader);
    }
    let family = words.next();
    let address = |text: Option<&str>| text.and_then(|text| text.parse::<IpAddr>().ok());
    // No sign and no leading zeros, which `parse` would take.
    let port = |text: Option<&str>| {
        let number = text.and_then(|text| text.parse::<u16>().ok())?;
        (text == Some(number.to_string().as_str())).then_some(number)
    };
    if family == Some("UNKNOWN") {
        return Ok(Said::Nothing);
    }
    let (source, target) = (address(words.next()), address(words.next()));
    let (from, to) = (port(words.next()), port(words.next()));
    let (Some(source), Some(target), Some(from), Some(_), None) =
        (source, target, from, to, words.next())
    else {
        return Err(NoHeader);
    };
    match (family, source.is_ipv4(), target.is_ipv4()) {
        (Some("TCP4"), true, true) | (Some("TCP6"), false, false) => {
            Ok(Said::From(SocketAddr::new(source, from)))
        }
        _ => Err(NoHeader),
    }
}

/// A header of version 2 behind its signature: the two bytes for version with command and for family with
/// transport, and what follows the length.
pub fn binary(command: u8, family: u8, rest: &[u8]) -> Result<Said, NoHeader> {
    match command {
        // LOCAL: whatever else it says does not count.
        0x20 => return Ok(Said::Nothing),
        0x21 => {}
        _ => return Err(NoHeader),
    }
    let port = |at: usize| {
        let bytes = rest.get(at..at + 2).and_then(|two| <[u8; 2]>::try_from(two).ok());
        bytes.map(u16::from_be_bytes).ok_or(NoHeader)
    };
    match family {
        0x11 => {
            let bytes = rest.get(..4).and_then(|four| <[u8; 4]>::try_from(four).ok());
            let address = Ipv4Addr::from(bytes.ok_or(NoHeader)?);
            port(10)?;
            Ok(Said::From(SocketAddr::new(address.into(), port(8)?)))
        }
        0x21 => {
            let bytes = rest.get(..16).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
            let address = Ipv6Addr::from(bytes.ok_or(NoHeader)?);
            port(34)?;
            Ok(Said::From(SocketAddr::new(address.into(), port(32)?)))
        }
        // Datagrams, Unix sockets, and what its sender does not know: nothing that names a client.
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => Ok(Said::Nothing),
        _ => Err(NoHeader),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn after(mut bytes: &[u8]) -> (io::Result<Said>, Vec<u8>) {
        let said = read(&mut bytes).await;
        (said, bytes.to_vec())
    }

    fn from(address: &str) -> Said {
        Said::From(address.parse().unwrap())
    }

    fn second(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE.as_slice(), &[command, family], &length, rest].concat()
    }

    #[tokio::test]
    async fn version_1() {
        for (line, expected) in [
            ("PROXY TCP4 192.0.2.7 192.0.2.1 4711 443", from("192.0.2.7:4711")),
            ("PROXY TCP6 2001:db8::7 2001:db8::1 4711 443", from("[2001:db8::7]:4711")),
            ("PROXY UNKNOWN", Said::Nothing),
            ("PROXY UNKNOWN ffff::ffff ::1 65535 65535", Said::Nothing),
        ] {
            let (said, rest) = after(format!("{line}\r\nGET / HTTP/1.1\r\n").as_bytes()).await;
            assert_eq!(said.unwrap(), expected, "{line}");
            assert_eq!(rest, b"GET / HTTP/1.1\r\n", "{line}");
        }
    }

    #[tokio::test]
    async fn version_1_refused() {
        for line in [
            "GET / HTTP/1.1\r\n\r\n",
            "PROXY TCP4 192.0.2.7 192.0.2.1 4711\r\n",
            "PROXY TCP4 192.0.2.7 192.0.2.1 4711 443 1\r\n",
            "PROXY TCP4 192.0.2.7 192.0.2.1 04711 443\r\n",
            "PROXY TCP4 192.0.2.7 192.0.2.1 +4711 443\r\n",
            "PROXY TCP4 192.0.2.7  192.0.2.1 4711 443\r\n",
            "PROXY TCP4 2001:db8::7 2001:db8::1 4711 443\r\n",
            "PROXY TCP6 192.0.2.7 192.0.2.1 4711 443\r\n",
            "PROXY TCP4 192.0.2.7 192.0.2.1 4711 65536\r\n",
            "PROXY SCTP 192.0.2.7 192.0.2.1 4711 443\r\n",
            "proxy TCP4 192.0.2.7 192.0.2.1 4711 443\r\n",
            "PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\n",
        ] {
            assert!(after(line.as_bytes()).await.0.is_err(), "{line}");
        }
        let endless = format!("PROXY UNKNOWN {}", "x".repeat(LINE_BYTES_MAX));
        let (said, rest) = after(endless.as_bytes()).await;
        assert!(said.is_err());
        assert_eq!(endless.len() - rest.len(), LINE_BYTES_MAX, "it reads no further");
    }

    #[tokio::test]
    async fn version_2() {
        let v4 = [192, 0, 2, 7, 192, 0, 2, 1, 0x12, 0x67, 1, 187];
        let mut v6 = "2001:db8::7".parse::<Ipv6Addr>().unwrap().octets().to_vec();
        v6.extend("2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
        v6.extend([0x12, 0x67, 1, 187]);
        // An authority TLV and a CRC32C.
        let tlvs = [&v4[..], &[2, 0, 4], b"test", &[3, 0, 4, 1, 2, 3, 4]].concat();
        for (header, expected) in [
            (second(0x21, 0x11, &v4), from("192.0.2.7:4711")),
            (second(0x21, 0x11, &tlvs), from("192.0.2.7:4711")),
            (second(0x21, 0x21, &v6), from("[2001:db8::7]:4711")),
            (second(0x20, 0x00, &[]), Said::Nothing),
            (second(0x20, 0x11, &v4), Said::Nothing),
            (second(0x21, 0x00, &[1, 2, 3]), Said::Nothing),
            (second(0x21, 0x31, &[0; 216]), Said::Nothing),
        ] {
            let (said, rest) = after(&[header.as_slice(), b"\x16\x03\x01"].concat()).await;
            assert_eq!(said.unwrap(), expected);
            assert_eq!(rest, b"\x16\x03\x01");
        }
    }

    #[tokio::test]
    async fn version_2_refused() {
        for header in [
            second(0x11, 0x11, &[0; 12]),
            second(0x22, 0x11, &[0; 12]),
            second(0x21, 0x11, &[0; 11]),
            second(0x21, 0x21, &[0; 35]),
            second(0x21, 0x41, &[0; 36]),
            second(0x21, 0x11, &[0; REST_BYTES_MAX + 1]),
            SIGNATURE.to_vec(),
        ] {
            assert!(after(&header).await.0.is_err(), "{header:?}");
        }
    }
}
