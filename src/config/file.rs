//! The YAML as written -> [`Settings`](super::Settings).
