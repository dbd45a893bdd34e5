//! One test per bug, with what happened in a comment.
