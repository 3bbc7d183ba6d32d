package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"strings"
)

// fileName says which answer a file holds, as far as a few bytes can.
type fileName struct {
	key     uint64 // the beginning of the SHA-256 of the key: nobody finds a URL whose file pushes out that of a given other one
	variant uint32 // of the selection: one key has a file for each variant
	site    uint32 // of scheme and host: who purges a prefix need not open the files of other sites
}

// keyHash is what the disk tier knows a key by. Unlike the store's hash it is the same in every process.
func keyHash[T []byte | string](key T) uint64 {
	h := sha256.Sum256([]byte(key))
	return binary.BigEndian.Uint64(h[:])
}

// fileNameOf returns the name for an answer.
func fileNameOf(key string, s *selection) fileName {
	h := sha256.New()
	var room [256]byte
	b := appendText(room[:0], s.forwarded)
	for i := range s.fields {
		b = appendText(appendText(b, strings.ToLower(s.fields[i].name)), s.fields[i].value)
	}
	h.Write(b)
	return fileName{key: keyHash(key), variant: binary.BigEndian.Uint32(h.Sum(room[:0])), site: siteOf(urlOf(key))}
}

// siteOf returns what stands for scheme and host of a URL, 0 for one that ends before its path begins.
func siteOf(url string) uint32 {
	i := strings.Index(url, "://")
	if i < 0 {
		return 0
	}
	n := strings.IndexByte(url[i+3:], '/')
	if n < 0 {
		return 0
	}
	return max(crc32.Checksum([]byte(url[:i+3+n]), castagnoli), 1)
}

// pathLen is the length of what appendPath appends.
const pathLen = 3 + 16 + 1 + 8 + 1 + 8

// appendPath appends the file's path within the directory: "c0/c0ffee0123456789-01234567-89abcdef".
func (n fileName) appendPath(dst []byte) []byte {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], n.key)
	binary.BigEndian.PutUint32(b[8:], n.variant)
	binary.BigEndian.PutUint32(b[12:], n.site)
	dst = hex.AppendEncode(dst, b[:1])
	dst = hex.AppendEncode(append(dst, '/'), b[:8])
	dst = hex.AppendEncode(append(dst, '-'), b[8:12])
	return hex.AppendEncode(append(dst, '-'), b[12:16])
}

func (n fileName) path() string { return string(n.appendPath(nil)) }

// parseFileName reads the last part of such a path.
func parseFileName(s string) (n fileName, ok bool) {
	if len(s) != pathLen-3 || s[16] != '-' || s[25] != '-' {
		return n, false
	}
	var b [16]byte
	if _, err := hex.Decode(b[:], []byte(s[:16]+s[17:25]+s[26:])); err != nil {
		return n, false
	}
	n = fileName{binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])}
	return n, n.path()[3:] == s // in lower case
}

// diskIndex knows all files of a directory: where they are is in their names, and of the answers themselves it remembers next to nothing. A file
// costs 56 bytes here and about 30 in the map, whatever its URL is like. Nothing in it is a pointer that the garbage collector would
// have to follow.
//
// It also says which file has to go when there is no room, after SIEVE: files stand in a queue in the order in which they came; a hand goes from
// the oldest to the newest, passes by those that were used since it came by last, and takes the first one that was not.
//
// The disk's lock guards it.
type diskIndex struct {
	first  map[uint64]uint32 // by key: the record of one variant, which knows the next
	slabs  []*[slabSize]record
	made   uint32 // records in slabs that were ever used; the first one is not
	free   uint32 // the first of those that are not used now
	count  int
	bytes  int64 // of all files, in whole blocks
	oldest uint32
	newest uint32
	hand   uint32
}

// record is one file.
type record struct {
	fileName
	memory uint64 // the store's hash of the key, 0 while that is not known
	tags   uint64 // filter of tags, all ones while those are not known
	seq    uint32 // which file of that name: each one that is written has another number
	blocks uint32 // of diskBlock bytes
	next   uint32 // variant of the key, or next free record
	older  uint32
	newer  uint32
	used   bool
}

const (
	slabSize = 1024
	// diskBlock is what file systems give room in.
	diskBlock = 4 << 10
	// sieveSteps bounds how many files the hand passes by in a row: loops may be waiting for the lock.
	sieveSteps = 256
)

// blocksOf returns how many blocks a file of that size has.
func blocksOf(size int64) uint32 { return uint32((size + diskBlock - 1) / diskBlock) }

func (r *record) bytes() int64 { return int64(r.blocks) * diskBlock }

func newDiskIndex() *diskIndex { return &diskIndex{first: map[uint64]uint32{}, made: 1} }

func (x *diskIndex) at(i uint32) *record { return &x.slabs[i/slabSize][i%slabSize] }

// get returns the place of a file's record, 0 when there is none.
func (x *diskIndex) get(n fileName) uint32 {
	i := x.first[n.key]
	for i != 0 && x.at(i).fileName != n {
		i = x.at(i).next
	}
	return i
}

// add adds a file as the newest one, in the place of an older one of its name. Of too many variants of a key the one that came first is
// returned: it is not in the index any more.
func (x *diskIndex) add(r record) (out fileName, pushed bool) {
	if i := x.get(r.fileName); i != 0 {
		x.remove(i)
	}
	i := x.free
	if i != 0 {
		x.free = x.at(i).next
	} else {
		i = x.made
		if x.made++; int(i/slabSize) == len(x.slabs) {
			x.slabs = append(x.slabs, &[slabSize]record{})
		}
	}
	r.next, r.older, r.newer = x.first[r.key], x.newest, 0
	*x.at(i) = r
	x.first[r.key] = i
	if x.newest != 0 {
		x.at(x.newest).newer = i
	} else {
		x.oldest = i
	}
	x.newest = i
	x.count++
	x.bytes += r.bytes()

	variants, last := 0, uint32(0)
	for j := i; j != 0; j = x.at(j).next {
		variants, last = variants+1, j
	}
	if variants > maxVariants {
		out = x.at(last).fileName
		x.remove(last)
		return out, true
	}
	return out, false
}

// remove takes a file out.
func (x *diskIndex) remove(i uint32) {
	r := x.at(i)
	if x.hand == i {
		x.hand = r.newer
	}
	if r.older != 0 {
		x.at(r.older).newer = r.newer
	} else {
		x.oldest = r.newer
	}
	if r.newer != 0 {
		x.at(r.newer).older = r.older
	} else {
		x.newest = r.older
	}
	if x.first[r.key] == i {
		if r.next == 0 {
			delete(x.first, r.key)
		} else {
			x.first[r.key] = r.next
		}
	} else {
		j := x.first[r.key]
		for x.at(j).next != i {
			j = x.at(j).next
		}
		x.at(j).next = r.next
	}
	x.count--
	x.bytes -= r.bytes()
	*r = record{next: x.free}
	x.free = i
}

// victim returns which file has to go, 0 when there is none. inMemory says of a key that the memory tier has it: then it is in use,
// though nobody asks the disk for it.
func (x *diskIndex) victim(inMemory func(hash uint64) bool) uint32 {
	for step := 0; ; step++ {
		if x.hand == 0 {
			if x.hand = x.oldest; x.hand == 0 {
				return 0
			}
		}
		r := x.at(x.hand)
		if step < sieveSteps && (r.used || r.memory != 0 && inMemory(r.memory)) {
			r.used = false
			x.hand = r.newer
			continue
		}
		return x.hand
	}
}
