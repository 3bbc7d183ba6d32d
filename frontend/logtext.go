package frontend

import "unicode/utf8"

// Text that comes from outside goes into a line through one of these. Whatever it holds, the line stays one line, and where
// the text ends stays plain.

// maxText bounds what one such text may take of a line, in bytes: with the three longest of them a line still fits
// into a datagram of 16 KiB. What is cut ends in "...".
const maxText = 4 << 10

// ellipsis stands where a text was cut.
const ellipsis = "..."

// escape appends text with every byte that stops in it written in its form.
type escape struct {
	stop [256]bool
	form func(dst []byte, c byte) []byte
}

func newEscape(also string, form func(dst []byte, c byte) []byte) *escape {
	e := &escape{form: form}
	for c := range e.stop {
		e.stop[c] = c < ' ' || c >= 0x7f
	}
	for _, c := range []byte(also) {
		e.stop[c] = true
	}
	return e
}

// hashHex is HAProxy's way in httplog: #XX, and so for '#' itself.
var hashHex = newEscape(`"#`, func(dst []byte, c byte) []byte {
	return append(dst, '#', upperHex[c>>4], upperHex[c&15])
})

// backslash is Apache's way: \" and \\, the C letters, else \xhh.
var backslash = newEscape(`"\`, func(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, `\b`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	case '\v':
		return append(dst, `\v`...)
	}
	return append(dst, '\\', 'x', lowerHex[c>>4], lowerHex[c&15])
})

const lowerHex = "0123456789abcdef"

// appendEscaped appends text as e writes it, at most maxText bytes of it.
func appendEscaped[T []byte | string](dst []byte, text T, e *escape) []byte {
	full := len(dst) + maxText
	from := 0
	for i := 0; i < len(text); i++ {
		if !e.stop[text[i]] {
			continue
		}
		if len(dst)+i-from >= full {
			break
		}
		dst = e.form(append(dst, text[from:i]...), text[i])
		from = i + 1
	}
	if over := len(dst) + len(text) - from - full; over > 0 {
		text = text[:max(len(text)-over, from)]
		return append(append(dst, text[from:]...), ellipsis...)
	}
	return append(dst, text[from:]...)
}

// jsonStop are the bytes a JSON string (RFC 8259 7) cannot hold, those a terminal would act on, and all that is not ASCII
// and has to be looked at.
var jsonStop = newEscape(`"\`, nil).stop

// appendJSON appends text as a JSON string, in its quotes, at most maxText bytes of it. Bytes that are no UTF-8
// become U+FFFD.
func appendJSON[T []byte | string](dst []byte, text T) []byte {
	dst = append(dst, '"')
	full := len(dst) + maxText
	from := 0
	for i := 0; i < len(text); {
		c := text[i]
		if !jsonStop[c] {
			i++
			continue
		}
		if len(dst)+i-from >= full {
			break
		}
		if c >= utf8.RuneSelf {
			r, n := decodeRune(text[i:])
			// Beyond ASCII, C1 controls and the line separators of U+2028 and U+2029 act on some terminals and viewers.
			if r >= 0xa0 && r != utf8.RuneError && r != 0x2028 && r != 0x2029 {
				i += n
				continue
			}
			dst = appendU(append(dst, text[from:i]...), r)
			i += n
			from = i
			continue
		}
		dst = append(dst, text[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = appendU(dst, rune(c))
		}
		i++
		from = i
	}
	if over := len(dst) + len(text) - from - full; over > 0 {
		end := max(len(text)-over, from)
		for end > from && !utf8.RuneStart(text[end]) {
			end--
		}
		return append(append(append(dst, text[from:end]...), ellipsis...), '"')
	}
	return append(append(dst, text[from:]...), '"')
}

// appendU appends a character of the basic plane as JSON's \uXXXX.
func appendU(dst []byte, r rune) []byte {
	return append(dst, '\\', 'u', lowerHex[r>>12&15], lowerHex[r>>8&15], lowerHex[r>>4&15], lowerHex[r&15])
}

// decodeRune decodes the first character of text.
func decodeRune[T []byte | string](text T) (rune, int) {
	var b [utf8.UTFMax]byte
	return utf8.DecodeRune(b[:copy(b[:], text)])
}
