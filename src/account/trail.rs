//! The steps that decided about a login, for `-C -d`.

/// The steps. `None`: nobody asked for them.
#[derive(Default)]
pub(crate) struct Trail(Option<Vec<String>>);

impl Trail {
    /// A trail that keeps the steps.
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
