//! A pair of sockets between two processes: listeners in one piece at first, then lines.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// What the operating system passes on at once.
pub(crate) const LISTENERS_MAX: usize = 250;

/// The byte that carries listeners.
const MARK: u8 = b'L';

/// Hands `listeners` over.
pub(crate) fn send(to: &UnixStream, listeners: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(LISTENERS_MAX))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    if listeners.len() > LISTENERS_MAX || !rights.push(SendAncillaryMessage::ScmRights(listeners)) {
        return Err(io::Error::other("too many listeners"));
    }
    sendmsg(to, &[IoSlice::new(&[MARK])], &mut rights, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Takes listeners over; what follows is lines.
pub(crate) fn receive(from: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(LISTENERS_MAX))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let mut mark = [0];
    recvmsg(from.as_fd(), &mut [IoSliceMut::new(&mut mark)], &mut rights, RecvFlags::CMSG_CLOEXEC)?;
    if mark != [MARK] {
        return Err(io::Error::other("the other process said something else"));
    }
    let mut listeners = Vec::new();
    for message in rights.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            listeners.extend(received);
        }
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn listeners_arrive_with_the_connections_that_wait_at_them() {
        let (one, mut other) = UnixStream::pair().unwrap();
        let listeners: Vec<_> =
            (0..40).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let address = listeners[7].local_addr().unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"hello").unwrap();
        let fds: Vec<_> = listeners.iter().map(AsFd::as_fd).collect();
        send(&one, &fds).unwrap();
        (&one).write_all(b"lines").unwrap();
        let received = receive(&other).unwrap();
        drop(listeners);
        let mut lines = [0; 5];
        other.read_exact(&mut lines).unwrap();
        assert_eq!((&lines, received.len()), (b"lines", 40));
        let listener = TcpListener::from(received.into_iter().nth(7).unwrap());
        assert_eq!(listener.local_addr().unwrap(), address);
        let (mut accepted, _) = listener.accept().unwrap();
        let mut hello = [0; 5];
        accepted.read_exact(&mut hello).unwrap();
        assert_eq!(&hello, b"hello");
    }

    #[test]
    fn what_is_no_listener_is_refused() {
        let (one, other) = UnixStream::pair().unwrap();
        (&one).write_all(b"x").unwrap();
        assert!(receive(&other).is_err());
        drop(one);
        assert!(receive(&other).is_err());
    }
}
