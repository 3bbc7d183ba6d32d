package cache

import (
	"bytes"
	"iter"
	"strconv"
	"unsafe"

	"gatehouse/backend/h1"
)

// entry is one stored answer. It is immutable: what changes about it becomes another entry, which may share the content.
type entry struct {
	status int
	reason []byte
	head   h1.Header // as it is sent, but for Age and Cache-Status
	choice selection
	policy
	born    int64 // when its age was zero, in milliseconds of the store's clock
	date    int64 // of its Date field, in seconds since 1970
	changed int64 // of its Last-Modified field, likewise; 0: there is none
	content [][]byte
	size    int64   // of the content
	stored  *stored // where the content is that is not in memory
}

// makeEntry makes an entry of the head of an answer; nothing is kept of resp. now and unix are the time at which it came, in
// milliseconds of the store's clock and in seconds since 1970. cookies: as in unstorable.
func makeEntry(resp *h1.Response, j *judgement, now, unix int64, cookies bool) *entry {
	e := &entry{status: resp.Status, reason: bytes.Clone(resp.Reason), choice: j.choice, policy: j.policy, born: now - j.age}
	for i := range resp.Header.Len() {
		id, name, value := resp.Header.At(i)
		if name == nil || unstorable(id, name, cookies) || j.hidden.hides(name) {
			continue
		}
		e.head.Add(string(name), value)
	}
	e.complete(unix)
	return e
}

// complete takes from the fields what is asked for often.
func (e *entry) complete(unix int64) {
	date, ok := headerDate(&e.head, h1.Date)
	if !ok {
		// "A recipient with a clock that receives a response message without a Date header field MUST record the time it was received and
		// append a corresponding Date header field to the message's header section if it is cached or forwarded downstream." (RFC 9110
		// 6.6.1)
		var room [32]byte
		e.head.Del(h1.Date)
		e.head.Add("Date", h1.AppendDate(room[:0], unix))
		date = unix
	}
	e.date = date
	if t, ok := headerDate(&e.head, h1.LastModified); ok {
		e.changed = t
	}
	e.head.Freeze()
}

// unstorable reports whether a field says something about one connection, one client or one moment only (RFC 9111 3.1). The fields
// of the connection itself are gone already. cookies: those a server sets are stored all the same.
func unstorable(id h1.Name, name []byte, cookies bool) bool {
	switch id {
	case h1.SetCookie:
		return !cookies
	case h1.Age, h1.Trailer, h1.ProxyAuthenticate, h1.ProxyAuthorization, h1.ProxyConnection, h1.Connection, h1.KeepAlive, h1.TE,
		h1.TransferEncoding, h1.Upgrade:
		return true
	}
	return h1.EqualFold(name, "Proxy-Authentication-Info") || !cookies && h1.EqualFold(name, "Set-Cookie2")
}

// filled returns the entry with its content.
func (e *entry) filled(content [][]byte, size int64) *entry {
	o := e.copy()
	o.content, o.size = content, size
	if size > 0 && !o.head.Has(h1.ContentLength) {
		var room [20]byte
		o.head.Add("Content-Length", strconv.AppendInt(room[:0], size, 10))
	} else if size == 0 && e.status != 204 && !o.head.Has(h1.ContentLength) {
		o.head.AddString("Content-Length", "0")
	}
	o.head.Freeze()
	return o
}

// copy returns a copy that shares the content.
func (e *entry) copy() *entry {
	o := *e
	o.head = h1.Header{}
	for i := range e.head.Len() {
		if _, name, value := e.head.At(i); name != nil {
			o.head.Add(string(name), value)
		}
	}
	return &o
}

// freshened returns the entry as a 304 (Not Modified) says it is now (RFC 9111 3.2 and 4.3.4): "caches MUST add each header field
// in the provided response to the stored response, replacing field values that are already present", but for those that describe the
// stored content, and those that are not stored anyway. j is what the cache thinks of the updated fields.
func (e *entry) freshened(h *h1.Header, cookies bool) *entry {
	o := *e
	o.head = h1.Header{}
	for i := range e.head.Len() {
		if id, name, value := e.head.At(i); name != nil && (keeps(id, name) || h.IndexName(string(name), 0) < 0) {
			o.head.Add(string(name), value)
		}
	}
	for i := range h.Len() {
		if id, name, value := h.At(i); name != nil && !keeps(id, name) && !unstorable(id, name, cookies) {
			o.head.Add(string(name), value)
		}
	}
	return &o
}

// without returns the entry without the fields that must not be stored, which may be e itself.
func (e *entry) without(hidden *directives) *entry {
	if len(hidden.hidden) == 0 {
		return e
	}
	o := *e
	o.head = h1.Header{}
	for i := range e.head.Len() {
		if _, name, value := e.head.At(i); name != nil && !hidden.hides(name) {
			o.head.Add(string(name), value)
		}
	}
	o.head.Freeze()
	return &o
}

// keeps reports whether a field describes the content that is stored, which a 304 does not change.
func keeps(id h1.Name, name []byte) bool {
	switch id {
	case h1.ContentLength, h1.ContentEncoding, h1.ContentRange, h1.ETag:
		return true
	}
	return h1.EqualFold(name, "Content-MD5")
}

// age returns how old the answer is, in milliseconds.
func (e *entry) age(now int64) int64 { return max(0, now-e.born) }

// left returns for how many milliseconds the answer will be fresh; it is negative once it is not.
func (e *entry) left(now int64) int64 { return e.life - e.age(now) }

// weight returns about how many bytes of memory the entry takes.
func (e *entry) weight() int64 {
	const field = 48 // what a Header remembers of a line
	n := int64(unsafe.Sizeof(*e)) + int64(len(e.reason)) + int64(e.head.Size()+e.head.Len()*field) + int64(e.choice.size())
	n += int64(e.head.Size()) + 64 // what HTTP/2 makes of the head, once somebody asks for it
	for _, c := range e.content {
		n += int64(cap(c)) + 24
		if cap(c) < chunkSize {
			n += int64(cap(c)) / 16 // memory comes in sizes that are up to an eighth apart
		}
	}
	return n
}

// tagged reports whether the entry bears a tag: a word of its Surrogate-Key, which are separated by blanks, or of its Cache-Tag,
// separated by commas.
func (e *entry) tagged(tag string) bool {
	for word := range tagsOf(&e.head) {
		if string(word) == tag {
			return true
		}
	}
	return false
}

// tagsOf yields the tags in a head.
func tagsOf(h *h1.Header) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, id := range [...]h1.Name{h1.SurrogateKey, h1.CacheTag} {
			for i := h.Index(id, 0); i >= 0; i = h.Index(id, i+1) {
				for word := range bytes.FieldsFuncSeq(h.Value(i), func(r rune) bool { return r == ' ' || r == '\t' || r == ',' }) {
					if !yield(word) {
						return
					}
				}
			}
		}
	}
}

// resource is what is stored for one key: the variants, the one that came last first. It is immutable.
type resource struct {
	key      string
	variants []*entry
	known    bool // all that is on the disk for the key is here too
}

// maxVariants bounds how many answers there may be for one key, so that an origin whose Vary names a field of endless variety, or a
// client that sends it, has only its own variants pushed out.
const maxVariants = 16

// pick returns the answer to a request with that header, nil when there is none. hidden is the name of a cookie that servers do not see.
func (r *resource) pick(req *h1.Header, hidden string) *entry {
	if r == nil {
		return nil
	}
	var near *entry
	for _, e := range r.variants {
		switch {
		case !e.choice.matches(req, hidden):
		case e.choice.language == "" || e.choice.equals(req, hidden):
			return e
		case near == nil:
			near = e // in the right language, but selected by other words
		}
	}
	return near
}

// with returns the resource with e in the place of its former self, or in front. The variants together stay within most bytes.
func (r *resource) with(e *entry, most int64) *resource {
	o := &resource{key: r.key, variants: []*entry{e}, known: r.known}
	total := e.weight()
	for _, v := range r.variants {
		if v.choice.same(&e.choice) {
			continue
		}
		if total += v.weight(); total > most || len(o.variants) == maxVariants {
			o.known = false
			break
		}
		o.variants = append(o.variants, v)
	}
	return o
}

// without returns the resource without the variant that was selected like e, nil when nothing is left.
func (r *resource) without(e *entry) *resource {
	o := &resource{key: r.key, known: r.known}
	for _, v := range r.variants {
		if !v.choice.same(&e.choice) {
			o.variants = append(o.variants, v)
		}
	}
	if len(o.variants) == 0 {
		return nil
	}
	return o
}

// overhead is about what the store itself needs for a key: its tables and its policy.
const overhead = 200

func (r *resource) weight() int64 {
	n := int64(unsafe.Sizeof(*r)) + int64(len(r.key)) + overhead
	for _, e := range r.variants {
		n += e.weight()
	}
	return n + n/16 // the system gives a process about so much more than it uses
}
