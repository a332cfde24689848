//! Places for things in a row that want to be somewhere, keep their order, and do not touch.

/// Something that wants to have its middle at `wish`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) wish: f64,
    pub(super) size: f64,
    /// How much it counts.
    pub(super) weight: f64,
}

/// The middles, `gap` apart at least, with the least sum of squared distances to the wishes: neighbours
/// that would touch become a block, which stands where its members on average want it. Nothing goes further
/// than `reach` from 0, unless there is no room.
pub(super) fn spread(wishes: &[Wish], gap: f64, reach: f64) -> Vec<f64> {
    // Distance from the first when all touch; without it, the order is all that is left to keep.
    let mut packed = Vec::with_capacity(wishes.len());
    let mut at = 0.0;
    for (index, wish) in wishes.iter().enumerate() {
        if index > 0 {
            at += (wishes[index - 1].size + wish.size) / 2.0 + gap;
        }
        packed.push(at);
    }
    // Weighted mean, weight and members of each block.
    let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
    for (wish, packed) in wishes.iter().zip(&packed) {
        let mut block = (wish.wish - packed, wish.weight, 1);
        while let Some(before) = blocks.pop_if(|before| before.0 >= block.0) {
            let weight = before.1 + block.1;
            let mean = (before.0 * before.1 + block.0 * block.1) / weight;
            block = (mean, weight, before.2 + block.2);
        }
        blocks.push(block);
    }
    let means = blocks.iter().flat_map(|block| std::iter::repeat_n(block.0, block.2));
    let end = |wish: Option<&Wish>| reach - wish.map_or(0.0, |wish| wish.size / 2.0);
    let least = -end(wishes.first());
    let most = (end(wishes.last()) - at).max(least);
    means.zip(packed).map(|(mean, packed)| mean.clamp(least, most) + packed).collect()
}
