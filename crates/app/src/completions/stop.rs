//! Ending an answer before a text that the caller named. Done here and not by the provider, since
//! not every provider knows it, and with the bot the caller does not know who answers.

/// Passes text on until one of the stop texts comes.
pub(super) struct StopAt {
    stops: Vec<String>,
    /// What may be the beginning of one.
    held: String,
}

impl StopAt {
    pub(super) fn new(mut stops: Vec<String>) -> Self {
        stops.retain(|stop| !stop.is_empty());
        Self {
            stops,
            held: String::new(),
        }
    }

    /// What may be passed on now, and whether the answer ends here.
    pub(super) fn push(&mut self, text: &str) -> (String, bool) {
        self.held.push_str(text);
        let first = self
            .stops
            .iter()
            .filter_map(|stop| self.held.find(stop))
            .min();
        if let Some(place) = first {
            self.held.truncate(place);
            return (std::mem::take(&mut self.held), true);
        }
        let sure = self.held.len() - self.longest_beginning();
        let rest = self.held.split_off(sure);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// What was held back, when no more text comes.
    pub(super) fn flush(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// The length of the longest end of what is held with which a stop text may begin.
    fn longest_beginning(&self) -> usize {
        let longest_stop = self.stops.iter().map(String::len).max().unwrap_or_default();
        let earliest = self
            .held
            .len()
            .saturating_sub(longest_stop.saturating_sub(1));
        let begins = |place: &usize| {
            let end = &self.held[*place..];
            self.stops.iter().any(|stop| stop.starts_with(end))
        };
        let places = self.held.char_indices().map(|(place, _)| place);
        let place = places.filter(|place| *place >= earliest).find(begins);
        place.map_or(0, |place| self.held.len() - place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(stops: &[&str], pieces: &[&str]) -> (Vec<String>, bool) {
        let mut filter = StopAt::new(stops.iter().map(|it| (*it).to_owned()).collect());
        let mut seen = Vec::new();
        for piece in pieces {
            let (text, ended) = filter.push(piece);
            seen.push(text);
            if ended {
                return (seen, true);
            }
        }
        seen.push(filter.flush());
        (seen, false)
    }

    #[test]
    fn an_answer_ends_before_a_stop_text_wherever_it_is_cut() {
        let whole = "one END two";
        for cut in 0..whole.len() {
            let (seen, ended) = passed(&["END"], &[&whole[..cut], &whole[cut..]]);
            assert!(ended, "{cut}");
            assert_eq!(seen.concat(), "one ", "{cut}");
        }
        assert_eq!(passed(&["b", "ab"], &["xab"]).0.concat(), "x");
    }

    #[test]
    fn nothing_is_held_back_that_cannot_be_the_beginning_of_one() {
        let (seen, ended) = passed(&["\n\nUser:"], &["a b", "\n", "\nUs", "eful ü"]);
        assert_eq!(
            (seen, ended),
            (
                ["a b", "", "", "\n\nUseful ü", ""]
                    .map(str::to_owned)
                    .to_vec(),
                false
            )
        );
        assert_eq!(passed(&["END"], &["EN"]).0, ["", "EN"]);
        assert_eq!(passed(&[], &["a", "b"]).0, ["a", "b", ""]);
        assert_eq!(passed(&["東京"], &["東", "大"]).0, ["", "東大", ""]);
    }
}
