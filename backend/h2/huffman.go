package h2

import "encoding/binary"

// lengths has the number of bits of each byte's code (RFC 7541 appendix B). The code is canonical: codes of one length follow one another
// in the order of their bytes, so the lengths say it all. The end-of-string code has 30 bits, all of them ones.
var lengths = [256]uint8{
	13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
	6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
	13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
	15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
	20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
	22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
	26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
	20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
}

const (
	shortest, longest = 5, 30
	lookup            = 10 // bits that are looked up at once: all of URLs and most of everything else
)

// symbol is a byte and the length of its code, 0 for none.
type symbol struct{ b, n uint8 }

// huffman is the code, in the forms that reading it needs.
var huffman = func() (h struct {
	first [longest + 2]uint32 // the first code of each length, left-aligned in 32 bits
	base  [longest + 2]int    // its place in order
	order [256]uint8          // the bytes, by length and value
	short [1 << lookup]symbol // by the first bits of what comes
}) {
	code, place := uint32(0), 0
	for n := 1; n <= longest; n++ {
		code <<= 1
		h.first[n], h.base[n] = code<<(32-n), place
		for b := range 256 {
			if int(lengths[b]) != n {
				continue
			}
			h.order[place] = uint8(b)
			place++
			if n <= lookup {
				for i := range 1 << (lookup - n) {
					h.short[int(code)<<(lookup-n)+i] = symbol{uint8(b), uint8(n)}
				}
			}
			code++
		}
	}
	h.first[longest+1] = 1<<32 - 1<<2 // the end-of-string code
	return h
}()

// appendHuffman appends what b is the code of. It is not ok when that is none: it ends in more than seven bits of padding, or in other
// bits than ones, or has the end-of-string code in it ("A Huffman-encoded string literal containing the EOS symbol MUST be treated as
// a decoding error", RFC 7541 5.2). The code is taken four bytes at once, as long as it lasts, and then looked up without asking how much is there:
// 2.2 ns for each byte of a path instead of the 2.9 that a byte at a time takes (BenchmarkHuffman).
func appendHuffman(dst, b []byte) (out []byte, ok bool) {
	var acc uint64 // what was taken of b and is not decoded yet, left-aligned
	have := uint(0)
	for {
		if len(b) >= 4 {
			acc |= uint64(binary.BigEndian.Uint32(b)) << ((32 - have) & 63)
			have += 32
			b = b[4:]
		} else {
			for have <= 56 && len(b) > 0 {
				acc |= uint64(b[0]) << ((56 - have) & 63)
				have += 8
				b = b[1:]
			}
		}
		for have >= 32 || len(b) == 0 { // there is a whole code, or no more to come
			if s := huffman.short[acc>>(64-lookup)]; s.n != 0 && uint(s.n) <= have {
				dst = append(dst, s.b)
				acc <<= s.n & 63
				have -= uint(s.n)
				continue
			}
			top := uint32(acc >> 32)
			if have < 8 && len(b) == 0 && top == ^uint32(0)<<(32-have) {
				return dst, true // padding: the most significant bits of the end-of-string code
			}
			n := uint(lookup + 1)
			for n < longest && top >= huffman.first[n+1] {
				n++
			}
			if n > have || top >= huffman.first[longest+1] {
				return dst, false
			}
			i := huffman.base[n] + int((top-huffman.first[n])>>(32-n))
			if i >= len(huffman.order) {
				return dst, false
			}
			dst = append(dst, huffman.order[i])
			acc <<= n
			have -= n
		}
	}
}
