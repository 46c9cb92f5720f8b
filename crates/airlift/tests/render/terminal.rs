//! A terminal, as far as the live view uses one: lines that scroll away at the top, a cursor, erasing, wrapping.

/// A screen with what has scrolled off it.
pub(crate) struct Terminal {
    width: usize,
    height: usize,
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
    pub(crate) cursor_shown: bool,
}

impl Terminal {
    pub(crate) fn showing(text: &str, width: usize, height: usize) -> Self {
        let mut terminal = Self { width, height, lines: vec![Vec::new()], row: 0, column: 0, cursor_shown: true };
        terminal.show(text);
        terminal
    }

    pub(crate) fn show(&mut self, text: &str) {
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\x1b' => self.sequence(&mut chars),
                '\n' => self.line_feed(),
                '\r' => self.column = 0,
                '\t' => self.column = (self.column / 8 + 1) * 8,
                c => self.put(c),
            }
        }
    }

    /// Becomes narrower while the cursor is on its last line: lines that are too long are broken.
    pub(crate) fn narrow(&mut self, width: usize) {
        assert_eq!(self.row + 1, self.lines.len());
        let broken = |line: &Vec<char>| match line.len() {
            0 => vec![Vec::new()],
            _ => line.chunks(width).map(<[char]>::to_vec).collect(),
        };
        self.lines = self.lines.iter().flat_map(broken).collect();
        (self.width, self.row) = (width, self.lines.len() - 1);
    }

    /// All lines, those above the screen too.
    pub(crate) fn text(&self) -> String {
        let lines: Vec<String> =
            self.lines.iter().map(|line| line.iter().collect::<String>().trim_end().to_owned()).collect();
        lines.join("\n").trim_end().to_owned() + "\n"
    }

    /// The lines that are on the screen.
    pub(crate) fn screen(&self) -> String {
        let text: Vec<String> = self.text().lines().skip(self.top()).map(str::to_owned).collect();
        text.join("\n") + "\n"
    }

    fn top(&self) -> usize {
        self.lines.len().saturating_sub(self.height)
    }

    fn sequence(&mut self, chars: &mut std::str::Chars<'_>) {
        assert_eq!(chars.next(), Some('['), "only control sequences are used");
        let mut parameters = String::new();
        let end = loop {
            match chars.next().expect("a sequence ends") {
                c @ ('0'..='9' | ';' | '?') => parameters.push(c),
                c => break c,
            }
        };
        match (parameters.as_str(), end) {
            ("?25", 'l') => self.cursor_shown = false,
            ("?25", 'h') => self.cursor_shown = true,
            ("?2026", 'h' | 'l') | (_, 'm') => {}
            (n, 'A') => self.row = self.row.saturating_sub(n.parse().unwrap()).max(self.top()),
            ("", 'K') => self.lines[self.row].truncate(self.column),
            ("", 'J') => {
                self.lines.truncate(self.row + 1);
                self.lines[self.row].truncate(self.column);
                // The screen does not scroll back: erased lines stay lines of it.
                let height = self.row + 1;
                self.lines.resize(height, Vec::new());
            }
            other => panic!("unexpected sequence {other:?}"),
        }
    }

    fn line_feed(&mut self) {
        self.row += 1;
        self.column = 0;
        if self.row == self.lines.len() {
            self.lines.push(Vec::new());
        }
    }

    fn put(&mut self, c: char) {
        if self.column == self.width {
            self.line_feed();
        }
        let line = &mut self.lines[self.row];
        if line.len() <= self.column {
            line.resize(self.column + 1, ' ');
        }
        line[self.column] = c;
        self.column += 1;
    }
}
