//! `loginward page`: serves the page for operators on loopback, to whoever has its link.

pub mod link;
pub mod pass;
pub mod serve;

use std::io;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};

use self::link::Link;
use self::pass::Guard;
use self::serve::Served;
use super::contact::Contact;
use super::signals::Signals;
use super::{FAILED, OK, complain, say};
use crate::admin::api::STATUS;
use crate::admin::ask::Question;
use crate::clock::Clock;

/// Nobody has asked for so long: nobody looks.
const IDLE: Duration = Duration::from_mins(30);
/// How long the guard may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(3);

/// Serve the page for operators on loopback, with a link that works once
///
/// It prints a link, for a browser on this machine; over ssh, forward the port. Whoever opens it
/// first gets a session, and from then on the link is worth nothing. What the page asks is passed on
/// to the running guard. It ends with Ctrl-C, with its terminal, or after 30 minutes in which no page
/// has asked for anything.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  loginward page --config config.yaml
  ssh -t -L 9190:127.0.0.1:9190 server loginward page --port 9190

Exit status:
  0  ended as it was told, or nobody asked any more
  1  the port is in use
  2  the command line is wrong, or the configuration file, if one is named
  3  no guard can be reached, or it refuses the token"
)]
pub struct Page {
    #[command(flatten)]
    contact: Contact,
    /// The port of 127.0.0.1; 0 is any that is free
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
}

impl Page {
    /// Serves until SIGINT, SIGTERM or SIGHUP, or until nobody asks any more.
    #[must_use]
    pub fn execute(&self) -> u8 {
        let guard = match self.guard() {
            Ok(guard) => guard,
            Err(status) => return status,
        };
        match self.serve(guard) {
            Ok(()) => OK,
            Err(error) => {
                complain(&format!("error: 127.0.0.1:{}: {error}", self.port));
                FAILED
            }
        }
    }

    /// The guard, which is there: whoever opens the page should not be the first to find out.
    fn guard(&self) -> Result<Guard, u8> {
        self.contact.get(Question::new("GET", STATUS), PATIENCE)?;
        self.contact.place().map(Guard)
    }

    fn serve(&self, guard: Guard) -> io::Result<()> {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_all().build_local(LocalOptions::default())?;
        runtime.block_on(async {
            let mut signals = Signals::listen()?;
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await?;
            let address = listener.local_addr()?;
            let served = Rc::new(Served::new(Link::new(address)?, guard, Clock::system()));
            say(&introduction(&served.link.url()));
            tokio::select! {
                () = serve::serve(listener, Rc::clone(&served)) => {}
                () = served.idle_for(IDLE) => say("Nobody has asked for anything for 30 minutes."),
                // it has no file to read again
                _ = signals.next() => {}
            }
            Ok(())
        })
    }
}

/// What whoever started it needs to know.
fn introduction(url: &str) -> String {
    format!(
        "\
Open this in a browser on this machine; it works once:

    {url}

Ctrl-C ends it, and so do 30 minutes in which no page asks for anything."
    )
}
