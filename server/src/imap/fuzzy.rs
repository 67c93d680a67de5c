//! How close a text comes to what is searched for (RFC 6203): its words in any order, parts of longer words, slips of the
//! keyboard.

/// Words of a search that are looked for one by one; beyond them only the phrase as a whole is found.
const WORDS: usize = 16;
/// Longest text, in bytes, in which slips are forgiven: in more of it anything comes close to something.
const FORGIVING: usize = 256 << 10;

/// From 1, hardly what was meant, to 100, exactly that; `None`: not at all. Both are as they are compared.
pub fn closeness(text: &str, wanted: &str) -> Option<u8> {
    if text.contains(wanted) {
        return Some(100);
    }
    let words: Vec<&str> = words(wanted).take(WORDS + 1).collect();
    if words.is_empty() || words.len() > WORDS {
        return None;
    }
    let mut sum = 0;
    for word in &words {
        sum += best(text, word)?;
    }
    // All the words are not the phrase.
    Some((sum / words.len() as u32).clamp(1, 95) as u8)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

fn best(text: &str, word: &str) -> Option<u32> {
    let part = match text.contains(word) {
        true if words(text).any(|other| other == word) => return Some(100),
        true => Some(80),
        false => None,
    };
    let letters: Vec<char> = word.chars().collect();
    let slips = match letters.len() {
        0..4 => 0,
        4..8 => 1,
        _ => 2,
    };
    if part.is_some() || slips == 0 || text.len() > FORGIVING {
        return part;
    }
    let mut rows = Rows::default();
    let nearest = words(text).filter_map(|other| rows.distance(&letters, other, slips)).min()?;
    Some(if nearest == 1 { 60 } else { 30 })
}

/// Room for the comparison, used again for each word.
#[derive(Default)]
struct Rows {
    other: Vec<char>,
    before: Vec<usize>,
    last: Vec<usize>,
    now: Vec<usize>,
}

impl Rows {
    /// Letters that are missing, too many, wrong or exchanged with the next one, up to `most` of them.
    fn distance(&mut self, word: &[char], other: &str, most: usize) -> Option<usize> {
        // A letter has up to four bytes.
        if other.len() + most < word.len() || other.len() > 4 * (word.len() + most) {
            return None;
        }
        self.other.clear();
        self.other.extend(other.chars());
        let width = self.other.len();
        if width.abs_diff(word.len()) > most {
            return None;
        }
        self.last.clear();
        self.last.extend(0..=width);
        for (i, letter) in word.iter().enumerate() {
            self.now.clear();
            self.now.push(i + 1);
            for (j, other) in self.other.iter().enumerate() {
                let wrong = self.last[j] + usize::from(letter != other);
                let mut least = wrong.min(self.last[j + 1] + 1).min(self.now[j] + 1);
                if i > 0 && j > 0 && *letter == self.other[j - 1] && word[i - 1] == *other {
                    least = least.min(self.before[j - 1] + 1);
                }
                self.now.push(least);
            }
            if self.now.iter().all(|distance| *distance > most) {
                return None;
            }
            std::mem::swap(&mut self.before, &mut self.last);
            std::mem::swap(&mut self.last, &mut self.now);
        }
        self.last.last().copied().filter(|distance| *distance <= most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closer_the_higher() {
        let text = "the quarterly report of the harbour master";
        let scores: Vec<Option<u8>> =
            ["quarterly report", "report quarterly", "arbour port", "reprot", "quartrely harbor", "invoice"]
                .iter()
                .map(|wanted| closeness(text, wanted))
                .collect();
        assert_eq!(scores, [Some(100), Some(95), Some(80), Some(60), Some(60), None]);
    }

    #[test]
    fn short_words_are_taken_at_their_word() {
        assert_eq!(closeness("a cat sat", "car"), None);
        assert_eq!(closeness("hello", "helo"), Some(60));
        assert_eq!(closeness("hello", "hlelo"), Some(60));
        assert_eq!(closeness("receive", "recieve"), Some(60));
        assert_eq!(closeness("accommodation", "acomodation"), Some(30));
        assert_eq!(closeness("grüße", "grüsse"), None);
        assert_eq!(closeness("grüße aus", "grüse"), Some(60));
    }

    #[test]
    fn what_has_no_words_is_found_as_it_is() {
        assert_eq!(closeness("a -- b", "--"), Some(100));
        assert_eq!(closeness("a b", "--"), None);
        assert_eq!(closeness("", "word"), None);
        assert_eq!(closeness("", ""), Some(100));
        let many = "word ".repeat(WORDS + 1);
        assert_eq!(closeness("word", many.trim()), None);
    }
}
