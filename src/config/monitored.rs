//! Which logins refuse nothing.

use super::Settings;
use crate::policy::route::Mode;

impl Settings {
    /// The logins in `monitor` mode, each as its site's name and its own.
    pub fn monitored(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sites.iter().flat_map(|site| {
            let logins = site.site.logins.iter();
            let monitored = logins.filter(|login| login.lockout.mode == Mode::Monitor);
            monitored.map(|login| (&*site.site.name, &*login.name))
        })
    }
}
