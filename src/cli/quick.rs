//! A guard without a configuration file: flags become the YAML that a file would have.

use std::path::Path;

use clap::Args;

use super::success::{EXAMPLE, HELP, Success, quoted};
use crate::config::Settings;
use crate::config::error::{Problem, Severity};

/// What the messages about flags are said to be in.
const COMMAND_LINE: &str = "command line";

/// What stands in the place of an outcome, with what should.
const INFERRED: &str = "        # `inferred` guesses. A success is then, for a form, a redirect (302, 303) within the site
        # that sets a cookie and leads to no path that looks like a login or an error; for JSON,
        # a 2xx that sets a cookie or has a member named like `token`, and none named `error`.
        # Better write what yours answers, such as
        #   outcome:
        #     - success: { status: [302, 303], location: \"/app*\", set_cookie: sessionid }
        outcome: inferred
";

/// All the flags that stand in for a file.
pub const FLAGS: [&str; 8] =
    ["upstream", "login", "listen", "username", "password", "success", "monitor", "print_config"];

/// What is guarded, where no file says it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Without a configuration file")]
pub struct Quick {
    /// The application: http://HOST:PORT, https:… or unix:PATH
    #[arg(long, value_name = "URL", requires = "login")]
    pub upstream: Option<String>,
    /// The path that its login form is sent to; may be given several times
    #[arg(long, value_name = "PATH", requires = "upstream")]
    pub login: Vec<String>,
    /// Where clients connect
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", requires = "upstream")]
    pub listen: String,
    /// The form field (or member of the JSON body) with the username
    #[arg(long, value_name = "FIELD", default_value = "username", requires = "upstream")]
    pub username: String,
    /// The form field with the password
    #[arg(long, value_name = "FIELD", default_value = "password", requires = "upstream")]
    pub password: String,
    /// What the application answers to a right password; may be given several times
    #[arg(long, value_name = "CONDITIONS", requires = "upstream", long_help = HELP)]
    pub success: Vec<Success>,
    /// Count and report everything, refuse nothing
    #[arg(long, requires = "upstream")]
    pub monitor: bool,
    /// Print the configuration that these flags stand for, and exit
    #[arg(long, requires = "upstream")]
    pub print_config: bool,
}

impl Quick {
    /// The configuration that the flags stand for.
    #[must_use]
    pub fn yaml(&self) -> String {
        let paths: Vec<String> = self.login.iter().map(|path| quoted(path)).collect();
        let path = match paths.as_slice() {
            [only] => only.clone(),
            all => format!("[{}]", all.join(", ")),
        };
        let mode = if self.monitor {
            "monitor      # counts and reports, and refuses nothing"
        } else {
            "enforce      # `monitor` counts and reports, and refuses nothing"
        };
        format!(
            "\
# Save this as config.yaml and start it with `loginward run --config config.yaml`.
# config.example.yaml explains every setting.

listen: {listen}

sites:
  - upstream: {upstream}
    logins:
      - path: {path}
        username: {{ form: {username} }}
        password: {{ form: {password} }}
        # How the application's answer is read. What matches nothing here counts as a failure.
{outcome}
lockout:
  mode: {mode}
  # Any of these limits locks. They are the defaults.
  limits:
    - {{ by: [username, ip_address], failures: 5, cool_off: 10m }}
    - {{ by: [ip_address], failures: 50, cool_off: 10m, forget: leaky }}
    - {{ by: [username], failures: 100, cool_off: 15m, forget_after: 1h, forget: leaky }}

# Numbers for Prometheus, and what `loginward health` asks:
# metrics: {{ address: \"127.0.0.1:9181\" }}
",
            listen = quoted(&self.listen),
            upstream = quoted(self.upstream.as_deref().unwrap_or_default()),
            username = quoted(&self.username),
            password = quoted(&self.password),
            outcome = self.outcome(),
        )
    }

    /// The same as a file, which has a place where operators ask.
    #[must_use]
    pub fn file(&self) -> String {
        format!(
            "{}
# Where `loginward list` and others ask, given this file with --config; a socket beside it, or one
# such as unix:/run/loginward/admin.sock, which they know by themselves:
admin: {{ address: \"unix:admin.sock\" }}
",
            self.yaml()
        )
    }

    fn outcome(&self) -> String {
        if self.success.is_empty() {
            return INFERRED.to_owned();
        }
        let mut yaml = "        outcome:\n".to_owned();
        for success in &self.success {
            yaml.push_str("          - success: ");
            yaml.push_str(&success.yaml());
            yaml.push('\n');
        }
        yaml
    }

    /// The settings that the flags stand for, and the warnings about them.
    ///
    /// # Errors
    ///
    /// All that is wrong with the flags, and the warnings.
    pub fn settings(&self) -> Result<(Settings, Vec<Problem>), Vec<Problem>> {
        match Settings::parse(&self.yaml(), Path::new("."), COMMAND_LINE) {
            Ok((settings, warnings)) => {
                Ok((settings, warnings.iter().map(|problem| self.about_flags(problem)).collect()))
            }
            Err(problems) => {
                Err(problems.iter().map(|problem| self.about_flags(problem)).collect())
            }
        }
    }

    /// A problem with the YAML, said of the flag that it came from.
    fn about_flags(&self, problem: &Problem) -> Problem {
        let Some((flag, condition)) = flag(&problem.key) else { return problem.clone() };
        let guessed = flag == "--success" && self.success.is_empty();
        let key = if condition.is_empty() { flag.into() } else { format!("{flag} {condition}") };
        let doubtful = problem.severity == Severity::Warning;
        let (mut wrong, mut right) = (problem.wrong.clone(), problem.right.clone());
        if doubtful && guessed {
            wrong = "is not given, so what a success looks like is guessed".into();
            right = format!("say it, such as --success \"{EXAMPLE}\"").into();
        } else if flag == "--upstream" {
            wrong = wrong.replace("(`listen`)", "(`--listen`)").into();
        } else if doubtful && flag == "--login" {
            right = format!("{right}; --print-config prints a file to change").into();
        }
        Problem { at: None, key: key.into(), wrong, right, ..problem.clone() }
    }
}

/// The flag that what stands at `key` came from, and the condition in it.
fn flag(key: &str) -> Option<(&'static str, &str)> {
    const FLAGS: [(&str, &str); 6] = [
        ("listen", "--listen"),
        ("sites[0].upstream", "--upstream"),
        ("sites[0].logins[0].outcome", "--success"),
        ("sites[0].logins[0].password", "--password"),
        ("sites[0].logins[0].username", "--username"),
        ("sites[0].logins[0]", "--login"),
    ];
    let (_, flag) = FLAGS.iter().find(|(start, _)| key.starts_with(start))?;
    Some((*flag, key.split_once(".success.").map_or("", |(_, condition)| condition)))
}
