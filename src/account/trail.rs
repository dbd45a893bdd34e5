//! What decided about a login, step by step: for `-C -d`, and for nobody else.

/// The steps; or nothing, when nobody asks.
#[derive(Default)]
pub(crate) struct Trail(Option<Vec<String>>);

impl Trail {
    /// One that keeps what it is told.
    pub(crate) fn kept() -> Trail {
        Trail(Some(Vec::new()))
    }

    pub(super) fn say(&mut self, step: impl FnOnce() -> String) {
        if let Some(steps) = &mut self.0 {
            steps.push(step());
        }
    }

    pub(crate) fn into_steps(self) -> Vec<String> {
        self.0.unwrap_or_default()
    }
}
