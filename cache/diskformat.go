package cache

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"gatehouse/backend/h1"
)

// A file of the disk tier holds one answer:
//
//	prelude  64 bytes: magic and version, checksum of all that follows up to the content, lengths, times
//	head     what else there is to know of the answer: key, selection, status, fields
//	content  as it is sent
//	sums     a checksum for each 64 KiB of content
//
// The head stands in front, so that one read brings a small answer as a whole. Each checksum of content covers the file's id and the block's
// place too: no block passes for another one. A file whose length is not exactly what its prelude says is not read any further.
const (
	diskMagic   = "GHcache\x01" // the last byte is the version
	preludeSize = 64
	// maxDiskHead bounds prelude and head together; an answer with more is kept in memory alone.
	maxDiskHead = 60 << 10
	sumSize     = 4
)

// Offsets in the prelude. Numbers are little-endian.
const (
	atSum             = 8  // of everything from atHead to the content
	atHead            = 12 // bytes of the head behind the prelude
	atSize            = 16 // bytes of content
	atID              = 24 // of the content: who has read it once, and finds the same here, has the same content
	atBorn            = 32 // when the answer's age was zero, in milliseconds since 1970
	atLife            = 40 // the rest of its policy, in milliseconds
	atStaleRevalidate = 48
	atStaleError      = 56
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errDamaged is all there is to say of a file that is not what was written.
var errDamaged = errors.New("the file is damaged")

// diskHead is what a file says of its content.
type diskHead struct {
	key   string
	entry *entry // without content
	id    uint64
	size  int64 // of the content
	from  int64 // where that begins
}

// sums returns how many checksums content of that size has.
func sums(size int64) int64 { return (size + chunkSize - 1) / chunkSize }

// fileSize returns how long the file must be.
func (h *diskHead) fileSize() int64 { return h.from + h.size + sums(h.size)*sumSize }

// blockSum is the checksum of a block of content.
func blockSum(id uint64, place int64, data []byte) uint32 {
	mix := id*0x9e3779b97f4a7c15 ^ uint64(place+1)*0xbf58476d1ce4e5b9 // odd, so no two places of one id have the same
	return crc32.Checksum(data, castagnoli) ^ uint32(mix>>32) ^ uint32(mix)
}

// What flags say of an entry.
const (
	flagValidate = 1 << iota
	flagStrict
)

// maxPad bounds what makes a head longer than it need be, so that its length can be chosen before all of it is known.
const maxPad = 127

// appendDiskHead appends prelude and head of an answer to dst, and up to maxPad bytes that say nothing. epoch is the time of the store's clock
// zero, in milliseconds since 1970.
func appendDiskHead(dst []byte, key string, e *entry, id uint64, epoch int64, pad int) []byte {
	start := len(dst)
	var prelude [preludeSize]byte
	dst = append(dst, prelude[:]...)
	flags := uint64(0)
	if e.validate {
		flags |= flagValidate
	}
	if e.strict {
		flags |= flagStrict
	}
	for _, n := range [...]uint64{flags, uint64(e.status), uint64(e.policy.age)} {
		dst = binary.AppendUvarint(dst, n)
	}
	dst = binary.AppendVarint(dst, e.date)
	dst = binary.AppendVarint(dst, e.changed)
	dst = appendText(dst, e.reason)
	dst = appendText(dst, key)
	dst = appendText(dst, e.choice.forwarded)
	dst = appendText(dst, e.choice.language)
	dst = binary.AppendUvarint(dst, uint64(len(e.choice.fields)))
	for i := range e.choice.fields {
		dst = appendText(appendText(dst, e.choice.fields[i].name), e.choice.fields[i].value)
	}
	lines := 0
	for range e.head.All() {
		lines++
	}
	dst = binary.AppendUvarint(dst, uint64(lines))
	for i := range e.head.Len() {
		if _, name, value := e.head.At(i); name != nil {
			dst = appendText(appendText(dst, name), value)
		}
	}
	var zero [maxPad]byte
	dst = appendText(dst, zero[:pad])
	p := dst[start:]
	copy(p, diskMagic)
	binary.LittleEndian.PutUint32(p[atHead:], uint32(len(p)-preludeSize))
	for at, n := range map[int]uint64{atSize: uint64(e.size), atID: id, atBorn: uint64(epoch + e.born), atLife: uint64(e.life),
		atStaleRevalidate: uint64(e.staleRevalidate), atStaleError: uint64(e.staleError)} {
		binary.LittleEndian.PutUint64(p[at:], n)
	}
	binary.LittleEndian.PutUint32(p[atSum:], headSum(p))
	return dst
}

func appendText[T []byte | string](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// headLength returns how long prelude and head are together, from at least the prelude.
func headLength(b []byte) (int, error) {
	if len(b) < preludeSize || string(b[:len(diskMagic)]) != diskMagic {
		return 0, errDamaged
	}
	n := binary.LittleEndian.Uint32(b[atHead:])
	if n > maxDiskHead-preludeSize {
		return 0, errDamaged
	}
	return preludeSize + int(n), nil
}

// headSum is the checksum of prelude and head.
func headSum(b []byte) uint32 { return crc32.Checksum(b[atHead:], castagnoli) }

// readPrelude checks the prelude and the head of a file, of which b is the beginning, and reads the prelude.
func readPrelude(b []byte) (h diskHead, err error) {
	n, err := headLength(b)
	if err != nil || len(b) < n || headSum(b[:n]) != binary.LittleEndian.Uint32(b[atSum:]) {
		return h, errDamaged
	}
	h.from, h.size, h.id = int64(n), int64(binary.LittleEndian.Uint64(b[atSize:])), binary.LittleEndian.Uint64(b[atID:])
	if h.size < 0 || h.size > 1<<50 {
		return h, errDamaged
	}
	return h, nil
}

// readDiskHead reads prelude and head of a file, of which b is the beginning. Nothing of b is kept. now is the time in milliseconds since 1970: an
// answer from the future has a clock nobody knows, so it is taken for one that is no longer fresh.
func readDiskHead(b []byte, epoch, now int64) (h diskHead, err error) {
	if h, err = readPrelude(b); err != nil {
		return h, err
	}
	e := &entry{size: h.size}
	number := func(at int) int64 { return int64(binary.LittleEndian.Uint64(b[at:])) }
	born := number(atBorn)
	e.life, e.staleRevalidate, e.staleError = number(atLife), number(atStaleRevalidate), number(atStaleError)
	r := headReader{b: b[preludeSize:h.from]}
	flags := r.number()
	e.validate, e.strict = flags&flagValidate != 0, flags&flagStrict != 0
	e.status, e.policy.age = int(r.number()), int64(r.number())
	e.date, e.changed = r.signed(), r.signed()
	if reason := r.text(); reason != "" {
		e.reason = []byte(reason) // else the server spoke HTTP/2, or did not care
	}
	h.key = r.text()
	e.choice.forwarded, e.choice.language = r.text(), r.text()
	for range r.count() {
		f := selector{name: r.text(), value: r.text()}
		f.id = knownSelector([]byte(f.name))
		e.choice.fields = append(e.choice.fields, f)
	}
	for range r.count() {
		name, value := r.bytes(), r.bytes()
		if !validLine(name, value) {
			return h, errDamaged
		}
		e.head.Add(string(name), value)
	}
	r.bytes()
	const century = 100 * 365 * 24 * 3600 * second
	outside := func(n int64) bool { return n < 0 || n > century }
	if r.bad || len(r.b) > 0 || e.status < 200 || e.status > 999 || outside(e.life) || outside(e.staleRevalidate) || outside(e.staleError) ||
		outside(e.policy.age) || outside(born) {
		return h, errDamaged
	}
	if born > now {
		born = now - e.life
		e.staleRevalidate = 0
	}
	e.born = born - epoch
	e.head.Freeze()
	h.entry = e
	return h, nil
}

// validLine reports whether a field line cannot break the head it is sent in, wherever it came from.
func validLine(name, value []byte) bool {
	if !h1.IsToken(name) {
		return false
	}
	for _, c := range value {
		if c == '\r' || c == '\n' || c == 0 {
			return false
		}
	}
	return true
}

// headReader takes one thing after the other from a head. Once something is not there, bad is true and all that follows is empty.
type headReader struct {
	b   []byte
	bad bool
}

func (r *headReader) number() uint64 {
	n, k := binary.Uvarint(r.b)
	if k <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[k:]
	return n
}

func (r *headReader) signed() int64 {
	n, k := binary.Varint(r.b)
	if k <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[k:]
	return n
}

// count is the number of things that follow, each of which takes a byte at least.
func (r *headReader) count() int {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *headReader) bytes() []byte {
	n := r.count()
	s := r.b[:n:n]
	r.b = r.b[n:]
	return s
}

func (r *headReader) text() string { return string(r.bytes()) }

func (r *headReader) fail() { r.b, r.bad = nil, true }

// tagBits is a filter for tags: of the entry that has a tag, all bits of that tag are set.
func tagBits(h *h1.Header) (bits uint64) {
	for word := range tagsOf(h) {
		bits |= tagBit(word)
	}
	return bits
}

func tagBit(tag []byte) uint64 { return 1 << (crc32.Checksum(tag, castagnoli) % 64) }
