//! `loginward page`: the page for operators.

mod link;
mod shown;
