//! Whether a description is in range and fits together.

use std::collections::BTreeSet;

use super::ExperimentError;
use super::config::{
    ClassifierKind, Experiment, Method, Protocol, Reduction, Setting, SplitKind, Synthesis,
};
use crate::config::HoldOut;

impl Experiment {
    /// Whether everything is in range and fits together; `origin` names the source in errors.
    ///
    /// # Errors
    /// [`ExperimentError::Invalid`], [`ExperimentError::Training`].
    pub fn check(&self, origin: &str) -> Result<(), ExperimentError> {
        let fail = |problem: String| {
            Err(ExperimentError::Invalid {
                origin: origin.into(),
                problem,
            })
        };
        let word = |s: &str| {
            !s.is_empty()
                && s.chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        };
        if !word(&self.name) {
            return fail(format!(
                "`name` is {:?}: use letters, digits, - and _",
                self.name
            ));
        }
        if !(1..=1000).contains(&self.seeds) {
            return fail("`seeds` must lie between 1 and 1000".into());
        }
        if self.protocols.is_empty() {
            return fail(
                "`protocols` is empty: name strict, transductive or speaker, or several".into(),
            );
        }
        if self.methods.is_empty() {
            return fail("there is no [[method]]".into());
        }
        if !(self.split.development > 0.0 && self.split.development < 1.0) {
            return fail("`split.development` must lie between 0 and 1".into());
        }
        if self.split.folds == 1 {
            return fail("`split.folds` must be 0 (leave one out) or at least 2".into());
        }
        let positive = |v: &[f64]| !v.is_empty() && v.iter().all(|x| *x > 0.0 && x.is_finite());
        if !positive(&self.grid.c) || !positive(&self.grid.gamma) {
            return fail(
                "`grid.c` and `grid.gamma` must hold at least one positive number each".into(),
            );
        }
        if !(self.controls.noise > 0.0 && self.controls.noise.is_finite()) {
            return fail("`controls.noise` must be greater than 0".into());
        }
        let parts = [
            (
                "prior-gan",
                self.prior_gan.check().map_err(|e| e.to_string()),
            ),
            (
                "cycle-gan",
                self.cycle_gan.check().map_err(|e| e.to_string()),
            ),
            ("smacof", self.smacof.check().map_err(|e| e.to_string())),
            (
                "autoencoder",
                self.autoencoder.check().map_err(|e| e.to_string()),
            ),
        ];
        for (section, checked) in parts {
            if let Err(problem) = checked {
                return fail(format!("[{section}] {problem}"));
            }
        }
        for (setting, keys) in &self.training_of {
            if let Some(key) = keys.keys().find(|k| *k != "classifier") {
                return fail(format!(
                    "`training-of.\"{setting}\".{key}`: only `classifier` keys may differ between settings, so that all settings of a method share their generator"
                ));
            }
        }
        let mut ids = BTreeSet::new();
        let mut entries = BTreeSet::new();
        for method in &self.methods {
            let id = &method.id;
            if !word(id) {
                return fail(format!("method id {id:?}: use letters, digits, - and _"));
            }
            if !ids.insert(id) {
                return fail(format!("two methods have the id '{id}'"));
            }
            if method.settings.is_empty() {
                return fail(format!("method '{id}': `settings` is empty"));
            }
            let synthetic = method.settings.iter().any(|s| s.synthetic());
            if synthetic && method.synthesis == Synthesis::None {
                return fail(format!(
                    "method '{id}': settings with synthetic rows need `synthesis`"
                ));
            }
            let joint = method.reduction == Reduction::SmacofJoint;
            if joint && method.protocols(self).contains(&Protocol::Strict) {
                return fail(format!(
                    "method '{id}': the joint embedding sees the features of held-out rows, which the strict protocol forbids; give the method `protocols = [\"transductive\"]`"
                ));
            }
            if joint && synthetic {
                return fail(format!(
                    "method '{id}': the joint embedding has no place for synthetic rows; use `settings = [\"real\"]`"
                ));
            }
            let mut columns = BTreeSet::new();
            for &setting in &method.settings {
                let column = method.column_of(setting);
                columns.insert(column);
                if !entries.insert((method.title.as_str(), column)) {
                    return fail(format!(
                        "method '{id}': row '{}' has a column '{column}' already",
                        method.title
                    ));
                }
                self.check_training(method, setting, origin)?;
            }
            if let Some(column) = method.paper.keys().find(|c| !columns.contains(c.as_str())) {
                return fail(format!(
                    "method '{id}': `paper` names column '{column}', which the method has not"
                ));
            }
            if let Some((column, _)) = method.paper.iter().find(|(_, v)| !matches!(v.len(), 1 | 2))
            {
                return fail(format!(
                    "method '{id}': `paper.\"{column}\"` must be [mean] or [mean, standard deviation]"
                ));
            }
        }
        let found = self.reference().is_some_and(|(id, setting)| {
            let method = self.methods.iter().find(|m| m.id == id);
            method.is_some_and(|m| m.settings.contains(&setting))
        });
        if !found {
            return fail(format!(
                "`reference` is {:?}: write \"method/setting\" of a method and a setting that are there",
                self.reference
            ));
        }
        Ok(())
    }

    fn check_training(
        &self,
        method: &Method,
        setting: Setting,
        origin: &str,
    ) -> Result<(), ExperimentError> {
        let config = self.training(method, setting, origin)?;
        let fail = |key: &str, why: &str| {
            Err(ExperimentError::Invalid {
                origin: origin.into(),
                problem: format!("method '{}': `training.{key}` {why}", method.id),
            })
        };
        if !config.features.is_default() || !config.budget.is_none() {
            return fail(
                "features",
                "and `training.budget` are not for experiments: every method reads all columns",
            );
        }
        if !config.validation.hold_out.is_empty() {
            return fail(
                "validation.hold_out",
                "must be empty: groups are drawn in each fold",
            );
        }
        let transfer = self.split.kind == SplitKind::Transfer;
        if !transfer
            && config.validation.by == HoldOut::None
            && method.classifier != ClassifierKind::Majority
        {
            return fail(
                "validation.by",
                "must not be \"none\": early stopping and grid search need validation rows",
            );
        }
        if config.validation.refit {
            return fail(
                "validation.refit",
                "must be false: all methods learn from the same rows",
            );
        }
        Ok(())
    }
}
