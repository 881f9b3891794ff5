//! The page for operators, in a real browser that clicks.

mod clicks;
mod fleet;
mod gone;
mod keyboard;
mod link;
mod looks;
mod shown;
mod token;
