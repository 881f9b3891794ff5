//! A client's connection on which nothing happens waits here, in as little memory as can be.
//!
//! Only its socket and what is known of it stay: hyper's state goes, and is made anew for the next
//! request. Everything that may end an idle connection ends it here, too: its time, want of room,
//! the end of the guard.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::task::Poll;

use super::socket::ClientSocket;
use crate::link::Link;

/// How many keep a link where no request is under way: the socket, and what answers get.
const KEEPERS: usize = 2;

/// Whether a connection is of no use to anybody at the moment. Bodies of requests and answers keep
/// their link, so that none is left.
pub(super) fn may(link: &Rc<Link>) -> bool {
    link.is_quiet() && Rc::strong_count(link) == KEEPERS
}

/// Waits until there is something to do on a connection; breaks where it has come to its end.
pub(super) async fn wait(socket: &mut ClientSocket, link: &Link) -> ControlFlow<()> {
    link.forget_hungry();
    poll_fn(|context| {
        link.alarm.watch(context);
        match socket.poll_ahead(context) {
            Poll::Ready(Ok(())) => Poll::Ready(ControlFlow::Continue(())),
            Poll::Ready(Err(_)) => Poll::Ready(ControlFlow::Break(())),
            Poll::Pending if link.must_go() || link.alarm.has_rung() => {
                Poll::Ready(ControlFlow::Break(()))
            }
            // hyper takes leave as it always does
            Poll::Pending if link.is_draining() => Poll::Ready(ControlFlow::Continue(())),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
