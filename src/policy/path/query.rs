//! Paths in queries: front controllers that take the route from there.

use percent_encoding::percent_decode_str;

/// Parameters that hold a route: Drupal, Yii, `OpenCart`, `ThinkPHP`, Phalcon and their like.
const ROUTES: [&str; 10] =
    ["q", "r", "rt", "s", "route", "_route_", "url", "_url", "path", "path_info"];

/// The paths that a front controller at `path` may take from `query`: all of it, as `CodeIgniter`
/// does (`/?/login`), or one of its parameters (`/?q=user/login`). A site's own pages have none.
#[must_use]
pub fn routes(path: &str, query: &str) -> Vec<String> {
    if query.is_empty() {
        return Vec::new();
    }
    let (folder, script) = path.rsplit_once('/').unwrap_or(("", path));
    if !(script.is_empty() || script.contains('.') || script.eq_ignore_ascii_case("index")) {
        return Vec::new();
    }
    let below = |route: &str| format!("{folder}/{}", route.trim_start_matches('/'));
    let mut found = Vec::new();
    // as PHP decodes a form
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().trim().to_owned()
    };
    if let Some(route) = query.split(['&', '?']).next().map(decode)
        && route.starts_with('/')
        && !route.contains('=')
    {
        found.push(below(&route));
    }
    for (name, value) in query.split(['&', ';']).filter_map(|pair| pair.split_once('=')) {
        let name = decode(name).to_ascii_lowercase().replace('.', "_");
        let name = name.split('\0').next().unwrap_or_default().trim();
        if ROUTES.contains(&name) && !value.is_empty() {
            found.push(below(&decode(value)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_front_controller_takes_its_route_from_the_query() {
        assert_eq!(routes("/", "/login"), ["/login"]);
        assert_eq!(routes("/index.php", "/login&x=y"), ["/login"]);
        assert_eq!(routes("/shop/", "q=user/login"), ["/shop/user/login"]);
        assert_eq!(routes("/index.php", "a=b&ROUTE=%2flogin"), ["/login"]);
        for query in ["%20q=login", "+q=+login", "q%00x=login+", "q=%20login"] {
            assert_eq!(routes("/", query), ["/login"], "{query}");
        }
        assert_eq!(routes("/", ".url=login"), ["/login"]);
        assert_eq!(routes("/index", "q=login"), ["/login"]);
        assert_eq!(routes("/page", "/login"), [""; 0]);
        assert_eq!(routes("/", "next=/login"), [""; 0]);
        assert_eq!(routes("/", ""), [""; 0]);
    }
}
