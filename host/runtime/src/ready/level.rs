//! How many instances are to be ready: as many as ran at one time lately, never fewer than the floor.

/// The level of one plugin. Turned once in a period by whoever keeps it.
#[derive(Debug, Default)]
pub(crate) struct Level {
    floor: usize,
    most: usize,
    /// Whether any tenant has the plugin on; without that nothing is ready.
    is_on: bool,
    running: usize,
    /// The most that ran at one time in this period.
    peak: usize,
    wanted: usize,
}

impl Level {
    pub(crate) fn new(floor: usize, most: usize) -> Self {
        Self {
            floor: floor.min(most),
            most,
            ..Self::default()
        }
    }

    /// A run begins. Growing does not wait for the period to end.
    pub(crate) fn began(&mut self) {
        self.running = self.running.saturating_add(1);
        self.peak = self.peak.max(self.running);
        self.wanted = self.wanted.max(self.asked());
    }

    pub(crate) fn ended(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// A period is over: what it did not need goes.
    pub(crate) fn turn(&mut self, is_on: bool) {
        self.is_on = is_on;
        self.wanted = self.asked();
        self.peak = self.running;
    }

    pub(crate) fn wanted(&self) -> usize {
        self.wanted
    }

    pub(crate) fn floor(&self) -> usize {
        self.floor
    }

    fn asked(&self) -> usize {
        if self.is_on {
            self.peak.clamp(self.floor, self.most)
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn burst(level: &mut Level, runs: usize) {
        for _ in 0..runs {
            level.began();
        }
        for _ in 0..runs {
            level.ended();
        }
    }

    #[test]
    fn it_grows_with_the_load_at_once_and_falls_back_to_the_floor_behind_it() {
        let mut level = Level::new(1, 8);
        level.turn(true);
        assert_eq!(level.wanted(), 1, "the floor, before anybody called");
        for runs in 1..=5 {
            level.began();
            assert_eq!(level.wanted(), runs);
        }
        for _ in 0..5 {
            level.ended();
        }
        assert_eq!(level.wanted(), 5, "until the period is over");
        level.turn(true);
        assert_eq!(level.wanted(), 5, "the period needed as many");
        level.turn(true);
        assert_eq!(level.wanted(), 1, "and the next one none");
    }

    #[test]
    fn runs_one_after_the_other_need_one() {
        let mut level = Level::new(1, 8);
        level.turn(true);
        for _ in 0..1_000 {
            burst(&mut level, 1);
        }
        level.turn(true);
        assert_eq!(level.wanted(), 1);
    }

    #[test]
    fn it_is_never_more_than_the_most_and_never_less_than_the_floor() {
        let mut level = Level::new(2, 4);
        level.turn(true);
        burst(&mut level, 100);
        assert_eq!(level.wanted(), 4);
        for _ in 0..3 {
            level.turn(true);
        }
        assert_eq!(level.wanted(), 2);
    }

    #[test]
    fn what_nobody_has_on_is_not_ready() {
        let mut level = Level::new(1, 8);
        burst(&mut level, 3);
        assert_eq!(level.wanted(), 0, "it was never on");
        level.turn(true);
        level.turn(false);
        burst(&mut level, 3);
        assert_eq!(level.wanted(), 0, "it is off again");
    }
}
