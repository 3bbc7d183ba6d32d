package frontend

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// compressor is a compress block at work. It stands behind the cache, seen from the servers: the cache keeps what the server sent,
// once, whoever asked for it first and whatever that client takes, and its conditions and ranges go by that. What compressing a hit anew
// each time would cost is saved by keeping compressed copies beside it; see copies. All loops share it.
type compressor struct {
	c      *Compress
	types  []string // "text/html"
	kinds  []string // "text/", of "text/*"
	of     [codings]*encoders
	copies *copies
	stats  *CompressStats
	under  atomic.Int64                 // bytes that encoders under way take
	most   int64                        // bound of that
	rooms  atomic.Pointer[[]*pressRoom] // by Loop.ID
	mu     sync.Mutex                   // guards changes of rooms
}

// pressRoom is what a compressor owns on one loop.
type pressRoom struct {
	free  []*pressed
	press press
}

// newCompressor makes the block work, and count in stats; nil when there is none. Loops are numbered from 0.
func newCompressor(c *Compress, stats *CompressStats) *compressor {
	if c == nil {
		return nil
	}
	k := &compressor{c: c, stats: stats, copies: newCopies(c.Memory / 4), most: c.Memory - c.Memory/4}
	for _, t := range c.Types {
		t = strings.ToLower(t)
		if kind, ok := strings.CutSuffix(t, "*"); ok {
			k.kinds = append(k.kinds, kind)
		} else {
			k.types = append(k.types, t)
		}
	}
	slices.Sort(k.types)
	for _, a := range c.Algorithms {
		k.of[a] = newEncoders(a, c)
	}
	k.rooms.Store(&[]*pressRoom{})
	return k
}

// same reports whether another block says the same.
func (c *Compress) same(o *Compress) bool {
	return slices.Equal(c.Types, o.Types) && slices.Equal(c.Algorithms, o.Algorithms) && c.MinSize == o.MinSize && c.GzipLevel == o.GzipLevel &&
		c.BrotliLevel == o.BrotliLevel && c.ZstdLevel == o.ZstdLevel && c.Private == o.Private && c.Memory == o.Memory
}

// room returns what the loop of the calling task owns.
func (k *compressor) room(l *loop.Loop) *pressRoom {
	if rooms := *k.rooms.Load(); l.ID < len(rooms) && rooms[l.ID] != nil {
		return rooms[l.ID]
	}
	return k.newRoom(l)
}

// newRoom makes what a loop owns.
func (k *compressor) newRoom(l *loop.Loop) *pressRoom {
	k.mu.Lock()
	defer k.mu.Unlock()
	rooms := slices.Clone(*k.rooms.Load())
	for len(rooms) <= l.ID {
		rooms = append(rooms, nil)
	}
	r := &pressRoom{}
	rooms[l.ID] = r
	k.rooms.Store(&rooms)
	return r
}

// apply compresses the response of x, where that is wanted and allowed. It may park.
func (k *compressor) apply(x *h1.Exchange) {
	r := &x.Resp
	h := &r.Header
	if r.Status == 304 {
		k.agree(x)
		return
	}
	if why := k.unsuited(x); why != SkipNone {
		k.skip(x, why)
		return
	}
	addVary(h)
	coding := choose(&x.Req.Header, k.c.Algorithms)
	why := SkipNone
	switch {
	case coding == Plain || x.Req.Minor == 0: // HTTP/1.0 knows no chunks, and its programs seldom know codings
		why = SkipClient
	case !k.c.Private && private(x):
		why = SkipPrivate
	}
	if why != SkipNone {
		k.skip(x, why)
		return
	}
	if r.Body == nil { // HEAD: "the same header fields … as if the request method were GET" (RFC 9110 9.3.2)
		k.announce(r, coding)
		return
	}
	b, why := k.body(x, coding)
	if b == nil {
		k.skip(x, why)
		return
	}
	k.stats.Answers[coding].Add(1)
	k.announce(r, coding)
	if b.copy != nil {
		r.Length = int64(len(b.copy))
		var room [20]byte
		h.Add("Content-Length", strconv.AppendInt(room[:0], r.Length, 10))
	}
	r.Body = b
}

// skip counts an answer that goes out as it is.
func (k *compressor) skip(x *h1.Exchange, why Skip) {
	if string(x.Req.Method) != "HEAD" {
		k.stats.Skipped[why].Add(1)
	}
}

// body returns the compressed content, nil where it goes out as it is, and why.
func (k *compressor) body(x *h1.Exchange, coding Coding) (*pressed, Skip) {
	r, l := &x.Resp, x.Loop
	e := k.of[coding]
	if s, ok := r.Body.(interface{ Stored() [][]byte }); ok {
		if content := s.Stored(); len(content) > 0 {
			c, kept := k.copyOf(l, content, r.Length, coding)
			if kept && c == nil {
				return nil, SkipIncompressible
			}
			if kept {
				r.Body.Close()
				b := k.take(l)
				b.copy = c
				k.stats.Copies.Add(1)
				k.stats.gave(int(r.Length))
				k.stats.got(len(c))
				return b, SkipNone
			}
		}
	}
	if !k.reserve(e) {
		return nil, SkipMemory
	}
	b := k.take(l)
	b.of, b.enc, b.body, b.stats = e, e.take(), r.Body, k.stats
	// A length that is known in advance is that of something ready-made: it pauses because the network does. Otherwise what is here may
	// be all there is for a while.
	b.eager = r.Length < 0
	return b, SkipNone
}

// reserve takes the memory of an encoder, and reports whether there is any.
func (k *compressor) reserve(e *encoders) bool {
	if k.under.Add(e.cost) > k.most {
		k.under.Add(-e.cost)
		return false
	}
	return true
}

// announce makes the head of a response that of its compressed form.
func (k *compressor) announce(r *h1.Response, coding Coding) {
	h := &r.Header
	h.AddString("Content-Encoding", coding.String())
	h.Del(h1.ContentLength)
	r.Length = -1
	h.Del(h1.AcceptRanges) // the server's parts are of the other form
	weaken(h)
	for _, name := range digests {
		h.DelName(name)
	}
}

// digests are the fields that hold a checksum of the content as the server sent it (RFC 9530, and what came before).
var digests = [...]string{"Content-MD5", "Digest", "Content-Digest", "Repr-Digest"}

// weaken makes the entity tag a weak one: the content means the same and is not the same byte for byte (RFC 9110 8.8.1).
func weaken(h *h1.Header) {
	i := h.Index(h1.ETag, 0)
	if i < 0 {
		return
	}
	if v := h.Value(i); len(v) > 1 && v[0] == '"' {
		var room [256]byte
		h.SetValue(i, append(append(room[:0], "W/"...), v...))
	}
}

// agree makes a 304 agree with the answer the client has: "If the new response contains … strong validator(s) … If none of the stored
// responses contain the same strong validator, then the cache MUST NOT use the new response to update any stored responses." (RFC 9111
// 4.3.4) A client that has compressed content names it by the weak tag that we made.
func (k *compressor) agree(x *h1.Exchange) {
	tag := x.Resp.Header.Get(h1.ETag)
	if len(tag) < 2 || tag[0] != '"' {
		return
	}
	h := &x.Req.Header
	for i := h.Index(h1.IfNoneMatch, 0); i >= 0; i = h.Index(h1.IfNoneMatch, i+1) {
		if v := string(h.Value(i)); strings.Contains(v, "W/"+string(tag)) {
			weaken(&x.Resp.Header)
			addVary(&x.Resp.Header)
			return
		}
	}
}

// addVary says that the answer depends on Accept-Encoding (RFC 9110 12.5.5), unless that is said already.
func addVary(h *h1.Header) {
	if !h.HasToken(h1.Vary, "Accept-Encoding") && !h.HasToken(h1.Vary, "*") {
		h.AddString("Vary", "Accept-Encoding")
	}
}
