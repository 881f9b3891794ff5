//! How the page looks: on a phone, in the dark, and whether everybody can read it.

use super::shown::{LIMITS, Shown};
use crate::support::Upstream;

/// The lowest contrast of all texts that are to be seen, and which text has it: the ratio of WCAG 2,
/// with the colour of the nearest background that is not transparent.
const CONTRAST: &str = "(() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  let worst = [99, ''];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest('noscript, title, desc')) continue;
    const style = getComputedStyle(element);
    const colour = parts(element instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(colour), light(ground(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < worst[0]) worst = [ratio, `${element.tagName} ${element.textContent.slice(0, 40)}`];
  }
  return worst;
})()";

fn busy(shown: &mut Shown) {
    let long = "a-very-long-username-that-somebody-has-typed-and-that-goes-on-and-on-and-on-and-on";
    for name in ["alice", long, "%3Cimg%20src=x%20onerror=alert(1)%3E"] {
        shown.fail(name, 3);
    }
    shown.browser.until_text("#locked-count", "3");
    shown.browser.until_text("#locked-list", long);
}

#[test]
fn every_text_can_be_read_in_the_light_and_in_the_dark() {
    let upstream = Upstream::shop();
    let Some(mut shown) = Shown::of(LIMITS, &upstream) else { return };
    busy(&mut shown);
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        shown.browser.looks((1280, 900), scheme);
        grounds.push(shown.browser.eval("getComputedStyle(document.body).backgroundColor"));
        shown.browser.click_button("Unlock alice");
        shown.browser.until_text("#unlock", "Unlock alice");
        shown.browser.photograph(&format!("dialog-{scheme}"));
        let worst = shown.browser.eval(CONTRAST);
        assert!(worst[0].as_f64().unwrap() >= 4.5, "{scheme}: {worst}");
        shown.browser.press("Escape");
        shown.browser.photograph(&format!("desktop-{scheme}"));
    }
    assert_ne!(grounds[0], grounds[1]);
    shown.is_clean();
}

#[test]
fn a_phone_shows_all_of_it_without_sideways_scrolling() {
    let upstream = Upstream::shop();
    let Some(mut shown) = Shown::of(LIMITS, &upstream) else { return };
    busy(&mut shown);
    for width in [360, 320, 700, 1000] {
        shown.browser.looks((width, 740), "light");
        shown.browser.photograph(&format!("wide-{width}"));
        let wide = "document.documentElement.scrollWidth";
        shown.browser.until("it fits", &format!("{wide} <= {width}"));
        let outside = shown.browser.eval(
            "[...document.querySelectorAll('main *')].filter((one) => one.checkVisibility() && \
             !one.closest('.hidden, .scroll, thead, caption') && \
             one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML.slice(0, 80))",
        );
        assert_eq!(outside.as_array().unwrap().len(), 0, "{width}: {outside}");
    }
    shown.browser.looks((360, 740), "light");
    shown.browser.click_button("Unlock alice");
    shown.browser.until_text("#unlock", "Unlock alice");
    assert_eq!(shown.browser.eval("document.documentElement.scrollWidth <= 360"), true);
    let small = "[...document.querySelectorAll('#unlock button')].map((one) => one.offsetHeight)";
    let small = shown.browser.eval(small);
    assert!(small.as_array().unwrap().iter().all(|one| one.as_f64() >= Some(40.0)), "{small}");
    shown.is_clean();
}
