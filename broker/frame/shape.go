package frame

import "bytes"

// slot stands in a shape where a value was taken out.
const slot = 0

// Bounds of what is taken apart; what is beyond travels as its text.
const (
	maxSlots  = 256     // of a shape
	maxShapes = 256     // of a frame
	maxTokens = 1 << 17 // values of a frame that are taken out
)

// whole is the shape of a payload that isn't taken apart.
const whole = "\x00"

// cut takes the values out of a JSON text: shape is the text with a slot in the place of each, tokens the values as they
// stand there, strings with their quotes. Put back in order they give the text again, whatever it was. A
// text that can't be taken apart is one value.
func cut(text, shape []byte, tokens [][]byte) ([]byte, [][]byte) {
	start, first := len(shape), len(tokens)
	for i := 0; i < len(text); {
		c := text[i]
		end := i
		switch {
		case c == slot:
			return append(shape[:start], slot), append(tokens[:first], text)
		case c == '"':
			end = quoted(text, i)
			if isKey(text, end) {
				shape = append(shape, text[i:end]...)
				i = end
				continue
			}
		case c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z':
			end = scalar(text, i)
		default:
			shape = append(shape, c)
			i++
			continue
		}
		shape = append(shape, slot)
		tokens = append(tokens, text[i:end])
		i = end
	}
	if n := len(tokens) - first; n == 0 || n > maxSlots || bytes.Count(shape[start:], []byte{slot}) != n {
		return append(shape[:start], slot), append(tokens[:first], text)
	}
	return shape, tokens
}

// quoted returns the end of the string that begins at i.
func quoted(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

func isKey(text []byte, end int) bool {
	for end < len(text) && (text[end] == ' ' || text[end] == '\t' || text[end] == '\n' || text[end] == '\r') {
		end++
	}
	return end < len(text) && text[end] == ':'
}

// scalar returns the end of the number or word that begins at i.
func scalar(text []byte, i int) int {
	for i < len(text) {
		c := text[i]
		if c != '-' && c != '+' && c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != 'E' {
			break
		}
		i++
	}
	return i
}
