//! Plain tables for terminals: columns as wide as they must be, long cells wrapped.

/// Columns of a terminal that the text keeps to.
pub(crate) const WIDTH: usize = 100;

/// Lays out rows under their heads within `width` columns, each line indented by two. Columns named
/// in `wrapping` share the room that the others leave, and wrap.
pub(crate) fn table(
    heads: &[&str],
    rows: &[Vec<String>],
    wrapping: &[usize],
    width: usize,
) -> String {
    let mut widths: Vec<usize> = heads.iter().map(|head| head.chars().count()).collect();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            widths[column] = widths[column].max(cell.chars().count());
        }
    }
    share(&mut widths, heads, wrapping, width);
    let mut text = String::new();
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    line(&mut text, &heads, &widths);
    for row in rows {
        line(&mut text, row, &widths);
    }
    text
}

const GAP: usize = 2;
const INDENT: usize = 2;

/// Takes from the wrapping columns, the widest first, until the row fits.
fn share(widths: &mut [usize], heads: &[&str], wrapping: &[usize], width: usize) {
    loop {
        let total = INDENT + widths.iter().sum::<usize>() + GAP * (widths.len() - 1);
        let least = |column: usize| heads[column].chars().count().max(12);
        let widest = wrapping
            .iter()
            .copied()
            .filter(|column| widths[*column] > least(*column))
            .max_by_key(|column| widths[*column]);
        match widest {
            Some(column) if total > width => widths[column] -= 1,
            _ => return,
        }
    }
}

fn line(text: &mut String, cells: &[String], widths: &[usize]) {
    let wrapped: Vec<Vec<String>> = cells
        .iter()
        .zip(widths)
        .map(|(cell, width)| wrap(cell, *width))
        .collect();
    let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
    for row in 0..height {
        let mut out = " ".repeat(INDENT);
        for (column, lines) in wrapped.iter().enumerate() {
            let cell = lines.get(row).map_or("", String::as_str);
            out.push_str(cell);
            let gap = widths[column] - cell.chars().count() + GAP;
            out.push_str(&" ".repeat(gap));
        }
        text.push_str(out.trim_end());
        text.push('\n');
    }
}

/// Breaks a text at spaces, and a word that is longer than a line within itself.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        if used > 0 && used + 1 + word.len() <= width {
            lines.last_mut().expect("never empty").push(' ');
            used += 1;
        } else if used > 0 {
            lines.push(String::new());
            used = 0;
        }
        while word.len() > width {
            let rest = word.split_off(width);
            lines.last_mut().expect("never empty").extend(word);
            lines.push(String::new());
            word = rest;
        }
        used += word.len();
        lines.last_mut().expect("never empty").extend(word);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_cells_wrap_and_nothing_is_lost() {
        let rows = vec![vec![
            "a".to_owned(),
            "one two three four five six".to_owned(),
        ]];
        let text = table(&["id", "words"], &rows, &[1], 20);
        assert_eq!(
            text,
            "  id  words\n  a   one two three\n      four five six\n"
        );
    }

    #[test]
    fn a_word_longer_than_the_line_is_broken() {
        assert_eq!(wrap("ab cdefgh", 4), ["ab", "cdef", "gh"]);
        assert_eq!(wrap("", 4), [""]);
    }
}
