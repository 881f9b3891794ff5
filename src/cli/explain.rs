//! `loginward explain`: what the guard makes of one request, and why.

pub mod live;
pub mod message;
pub mod rehearsal;
pub mod tell;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

use self::live::Live;
use self::message::{Asked, Told};
use self::rehearsal::{Scene, rehearse};
use super::contact::Contact;
use super::{FAILED, OK, USAGE, complain, say};
use crate::config::Settings;

/// Explain what the guard makes of a request, and why
///
/// The request is given as for curl, or in a file (--request). It goes through the very guard that
/// `run` starts, with the settings of the file and no counters yet, in this process; no application
/// is asked. With an answer (--response, or --status and what else there is), it also says how that
/// is read. Passwords are not shown.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    override_usage = "\
loginward explain --config <FILE> [OPTIONS] <URL>
       loginward explain --config <FILE> --request <FILE> [OPTIONS]",
    after_help = "\
Examples:
  loginward explain --config config.yaml -d 'user=ada&password=x' http://shop.example.com/login
  loginward explain --config config.yaml -d 'user=ada&password=x' --status 302 \\
      --answer-header 'Location: /app' http://shop.example.com/login
  loginward explain --config config.yaml --request login.http --response answer.http
  loginward explain --config config.yaml --from 203.0.113.7 --live http://shop.example.com/login

Exit status:
  0  it is explained, whatever the guard would do, also where the body breaks off
  1  the request's head breaks off, so that nothing can be said of it
  2  the command line, a file that it names or the configuration is wrong
  3  --live: no guard can be reached"
)]
pub struct Explain {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// What is asked for
    #[arg(value_name = "URL", required_unless_present = "request", conflicts_with = "request")]
    url: Option<String>,
    /// The method; default: POST with --data, GET without
    #[arg(short = 'X', long, value_name = "METHOD")]
    method: Option<String>,
    /// A header field, such as 'Content-Type: application/json'
    #[arg(short = 'H', long, value_name = "FIELD", action = clap::ArgAction::Append)]
    header: Vec<String>,
    /// The body; a form, if no field says otherwise
    #[arg(short = 'd', long, value_name = "BODY")]
    data: Option<String>,
    /// Basic credentials
    #[arg(short = 'u', long, value_name = "USER:PASSWORD")]
    user: Option<String>,
    /// The request as it goes over the wire (HTTP/1.1)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["method", "header", "data", "user"])]
    request: Option<PathBuf>,
    /// The address that connects to the guard
    #[arg(long, value_name = "ADDRESS", default_value = "192.0.2.1")]
    from: IpAddr,
    /// The application's answer as it goes over the wire, for example from `curl -i`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["status", "answer_header", "answer_body"])]
    response: Option<PathBuf>,
    /// The status of its answer
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(200..600))]
    status: Option<u16>,
    /// A header field of its answer, such as 'Location: /app'
    #[arg(long, value_name = "FIELD", action = clap::ArgAction::Append, requires = "status")]
    answer_header: Vec<String>,
    /// The body of its answer
    #[arg(long, value_name = "BODY", requires = "status")]
    answer_body: Option<String>,
    /// Ask the guard that runs with this file how these counters and locks by hand stand
    #[arg(long)]
    live: bool,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl Explain {
    /// Explains the request.
    #[must_use]
    pub fn execute(&self) -> u8 {
        let (settings, _) = match Settings::load(&self.config) {
            Ok(loaded) => loaded,
            Err(problems) => {
                complain(&problems.to_string());
                return USAGE;
            }
        };
        let (asked, told) = match (self.asked(), self.told()) {
            (Ok(asked), Ok(told)) => (asked, told),
            (Err(wrong), _) | (_, Err(wrong)) => {
                complain(&format!("error: {wrong}"));
                return USAGE;
            }
        };
        let scene = Scene { settings, asked: &asked, from: self.from, answer: told.as_ref() };
        let mut played = match rehearse(scene) {
            Ok(played) => played,
            Err(wrong) => {
                complain(&format!("error: {wrong}"));
                return FAILED;
            }
        };
        let live = match self.live {
            false => Ok(Live::default()),
            true => Live::of(&Contact::of_file(self.config.clone()), &played.story),
        };
        let live = match live {
            Ok(live) => live,
            Err(status) => return status,
        };
        live.amend(&mut played);
        match self.json {
            true => say(&tell::json(&played, &live).to_string()),
            false => say(&tell::text(&played, &live)),
        }
        OK
    }

    fn asked(&self) -> Result<Asked, String> {
        match (&self.request, &self.url) {
            (Some(file), _) => Asked::from_file(file),
            (None, Some(url)) => Asked::new(
                url,
                self.method.as_deref(),
                (&self.header, self.user.as_deref()),
                self.data.as_deref(),
            ),
            (None, None) => Err("name a URL, or a file with --request".to_owned()),
        }
    }

    fn told(&self) -> Result<Option<Told>, String> {
        match (&self.response, self.status) {
            (Some(file), _) => Told::from_file(file).map(Some),
            (None, Some(status)) => {
                let body = self.answer_body.as_deref().unwrap_or_default();
                Told::new(status, &self.answer_header, body).map(Some)
            }
            (None, None) => Ok(None),
        }
    }
}
