package frontend

import (
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// coder is what the libraries have in common. Reset begins anew, whatever came before.
type coder interface {
	io.Writer
	Flush() error // hands on all that was written so far
	Close() error
	Reset(io.Writer)
}

// encoder is a compressor at work: what is written to the coder comes out in out.
type encoder struct {
	coder coder
	out   []byte
}

// Write is what the coder calls.
func (e *encoder) Write(p []byte) (int, error) {
	e.out = append(e.out, p...)
	return len(p), nil
}

// encoders makes and keeps the encoders of one coding and level. All loops share it.
type encoders struct {
	make  func() coder
	idle  sync.Pool // which the garbage collector empties
	cost  int64     // about how many bytes of memory one takes
	heavy bool      // a block takes more than a millisecond
}

// What the encoders remember of the past. More makes large texts a few percent smaller and costs memory for each answer under way:
// zstd's usual 8 MiB would.
const (
	zstdWindow   = 256 << 10
	brotliWindow = 18 // 256 KiB, as a power of two
)

// newEncoders returns the encoders of a coding. Measured on Go's net/http (1 MiB of source, ratio and time for a block of 64 KiB, zstd
// 128): gzip 5 3.7, 0.5 ms; zstd 3 3.8, 0.65 ms; br 5 4.2, 1.5 ms.
func newEncoders(c Coding, k *Compress) *encoders {
	switch c {
	case Gzip:
		level := k.GzipLevel
		return &encoders{cost: 1 << 20, heavy: level >= 8, make: func() coder {
			w, _ := gzip.NewWriterLevel(nil, level) // a level in range, see Check
			return w
		}}
	case Zstd:
		level := zstd.EncoderLevelFromZstd(k.ZstdLevel)
		cost := int64(2 << 20)
		if level > zstd.SpeedDefault {
			cost = 5 << 20
		}
		return &encoders{cost: cost, heavy: level > zstd.SpeedDefault, make: func() coder {
			// Concurrency of one makes no goroutines.
			w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(zstdWindow),
				zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false), zstd.WithZeroFrames(true))
			if err != nil {
				panic(err)
			}
			return w
		}}
	default:
		o := brotli.WriterOptions{Quality: k.BrotliLevel, LGWin: brotliWindow}
		return &encoders{cost: 4 << 20, heavy: k.BrotliLevel >= 4, make: func() coder { return brotli.NewWriterOptions(nil, o) }}
	}
}

// take lends an encoder that begins anew.
func (e *encoders) take() *encoder {
	enc, ok := e.idle.Get().(*encoder)
	if !ok {
		enc = &encoder{coder: e.make()}
	}
	enc.coder.Reset(enc)
	return enc
}

// give takes it back.
func (e *encoders) give(enc *encoder) {
	enc.out = nil
	e.idle.Put(enc)
}
