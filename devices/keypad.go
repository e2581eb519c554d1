package devices

import (
	"fmt"
	"log/slog"
	"time"
)

// Keypad is implemented by drivers of what people stand in front of: keys, and a screen where there is one. What is typed is a
// secret: it is no reading, and nobody logs or keeps it.
type Keypad interface {
	// Listen has take called with each entry, once. It is called once, before Run. take doesn't block.
	Listen(take func(Entry))
	// Show puts words on the screen and doesn't block. The last ones count; a keypad without a screen passes them over.
	Show(Screen)
}

// Entry is what was typed and confirmed: digits, with '#' between a cell and a code where the person typed one, or "*" alone for cancel.
type Entry struct{ Keys string }

// Format hides what was typed.
func (Entry) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("entry")) }

// LogValue hides what was typed.
func (Entry) LogValue() slog.Value { return slog.StringValue("entry") }

// Screen is what a keypad shows: a word of a fixed list, which the panel knows in its people's language.
type Screen struct {
	Word string        // [a-z_]{1,24}: ready, opening, wrong ...
	Cell int           // 0: none
	Wait time.Duration // in whole seconds, 0: none
}
