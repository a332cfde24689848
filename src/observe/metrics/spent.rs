//! What a component has cost, for alerts.

use super::Store;
use super::ask::Window;
use super::costs::Prices;
use crate::asked::Place;
use crate::database::DatabaseError;

impl Store {
    /// What the components of `place` cost by what they request, in US dollars, between two moments in seconds since
    /// 1970. `None` when nothing was measured of them. Blocks.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub(crate) fn spent(
        &self,
        place: &Place,
        between: (i64, i64),
        prices: Prices,
    ) -> Result<Option<f64>, DatabaseError> {
        let step = (between.1 - between.0).max(1);
        let costs = self.costs(&Window { place: place.clone(), between, step }, prices)?;
        let spent = costs.iter().map(|one| one.cost.cpu + one.cost.memory).sum();
        Ok((!costs.is_empty()).then_some(spent))
    }
}
