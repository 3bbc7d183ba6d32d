package frontend

import "sync/atomic"

// CompressStats are the counters of a compress block. Answers to HEAD, and those that say nothing has changed (304), have no content and count
// for nothing. All loops share them.
type CompressStats struct {
	Answers [codings]atomic.Uint64     // that went out compressed, by coding; none is Plain
	Copies  atomic.Uint64              // of these, were made once and are kept beside the cache
	In, Out atomic.Uint64              // bytes of their content: what was there, and what clients got
	Skipped [skipReasons]atomic.Uint64 // that went out as they are, by reason
}

// Skip is why an answer goes out as it is.
type Skip uint8

// The reasons, in the order they are looked at.
const (
	SkipNone           Skip = iota
	SkipEmpty               // it has no content, or a part of it (206)
	SkipSmall               // below min_size
	SkipEncoded             // by the server
	SkipType                // not one of types
	SkipNoTransform         // the server or the client does not want it changed
	SkipClient              // takes no coding that there is
	SkipPrivate             // it may be for this client alone
	SkipIncompressible      // it would not be smaller
	SkipMemory              // there is none left
	skipReasons
)

var skipNames = [skipReasons]string{"", "empty", "small", "encoded", "type", "no-transform", "client", "private", "incompressible", "memory"}

// String returns the reason in a word.
func (s Skip) String() string { return skipNames[s] }

// Codings are those an answer can be given, without Plain.
func Codings() []Coding { return []Coding{Zstd, Brotli, Gzip} }

// Skips are all reasons there are.
func Skips() (all []Skip) {
	for s := SkipNone + 1; s < skipReasons; s++ {
		all = append(all, s)
	}
	return all
}

// gave counts content that went into an encoder. s may be nil: it is not for a client.
func (s *CompressStats) gave(n int) {
	if s != nil {
		s.In.Add(uint64(n))
	}
}

// got counts what came out.
func (s *CompressStats) got(n int) {
	if s != nil {
		s.Out.Add(uint64(n))
	}
}
