package cache

import (
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"go.uber.org/zap"
)

// store is what is remembered, and what is being fetched. All loops share it, and so do the Caches of one block.
type store struct {
	Stats Stats

	seed  maphash.Seed
	start time.Time
	// data maps the hash of a key to what is stored for it. The key itself is compared afterwards: two keys with one hash push
	// each other out.
	data    *otter.Cache[uint64, *resource]
	marks   marks
	shards  [64]shard
	filling atomic.Int64  // bytes of content on their way into the store
	purges  atomic.Uint64 // purges of more than one key: what is being fetched meanwhile is not stored
	most    atomic.Int64  // bytes of all variants of one key
	under   atomic.Int64  // bound of filling. To ask data would take its lock
	memory  atomic.Int64  // bound of what is stored and of filling together
	bound   atomic.Int64  // of what is stored: memory without what is on its way, in steps

	hurried chan struct{}        // closed when there is no time to write what waits for the disk
	disk    atomic.Pointer[disk] // the second tier; nil: none
	closing sync.WaitGroup       // disk tiers that are not used any more
	files   fileSystem
	log     *zap.Logger

	bounding sync.Mutex // guards the change of bound

	mu       sync.Mutex // guards backends, and the closing of hurried
	backends map[string]bool
}

// shard is a part of the keys: a short lock for what is being fetched, and for changes of what is stored.
type shard struct {
	mu      sync.Mutex
	fills   map[uint64][]*fill
	forgets atomic.Uint64 // orders to forget a key, or something of it
}

func newStore(memory int64) *store {
	s := &store{seed: maphash.MakeSeed(), start: time.Now(), backends: map[string]bool{}, files: realFiles, hurried: make(chan struct{})}
	for i := range s.shards {
		s.shards[i].fills = map[uint64][]*fill{}
	}
	s.data = otter.Must(&otter.Options[uint64, *resource]{
		MaximumWeight: uint64(memory),
		Weigher:       func(_ uint64, r *resource) uint32 { return uint32(min(r.weight(), math.MaxUint32)) },
		OnAtomicDeletion: func(e otter.DeletionEvent[uint64, *resource]) {
			if e.WasEvicted() {
				s.Stats.Evicted.Add(1)
			}
		},
	})
	s.resize(memory)
	return s
}

// resize changes the bound of what is stored.
func (s *store) resize(memory int64) {
	s.most.Store(memory / 8)
	s.under.Store(memory / 4)
	s.memory.Store(memory)
	s.rebound()
}

// boundSteps is into how many steps memory is divided to make room for what is on its way.
const boundSteps = 64

// rebound lets what is stored have what is not on its way. Most answers are too small to make a difference.
func (s *store) rebound() {
	if s.boundNow() == s.bound.Load() {
		return
	}
	s.bounding.Lock()
	defer s.bounding.Unlock()
	if b := s.boundNow(); b != s.bound.Load() {
		s.bound.Store(b)
		s.data.SetMaximum(uint64(b))
	}
}

func (s *store) boundNow() int64 {
	memory := s.memory.Load()
	step := memory / boundSteps
	return memory - (s.filling.Load()+step/2)/step*step
}

// since returns the store's clock: milliseconds since it was made.
func (s *store) since() int64 { return time.Since(s.start).Milliseconds() }

func (s *store) hash(key []byte) uint64 { return maphash.Bytes(s.seed, key) }

func (s *store) shard(hash uint64) *shard { return &s.shards[hash%uint64(len(s.shards))] }

// get returns what is stored for a key, nil when nothing is.
func (s *store) get(hash uint64, key []byte) *resource {
	r, ok := s.data.GetIfPresent(hash)
	if !ok || r.key != string(key) {
		return nil
	}
	return r
}

// peek is get for the store's own purposes: it does not count as a use. The shard's lock is held.
func (s *store) peek(hash uint64, key string) *resource {
	if e, ok := s.data.GetEntryQuietly(hash); ok && e.Value.key == key {
		return e.Value
	}
	return nil
}

// put stores an answer. The shard's lock is held.
func (s *store) put(hash uint64, key string, e *entry) {
	r := s.peek(hash, key)
	if r == nil {
		r = &resource{key: key}
	}
	s.data.Set(hash, r.with(e, s.most.Load()))
	s.disk.Load().put(hash, key, e)
	s.Stats.Stored.Add(1)
}

// supersede forgets what is in memory of an answer, another version of which is about to be on the disk. The shard's lock is held.
func (s *store) supersede(hash uint64, key string, e *entry) {
	r := s.peek(hash, key)
	if r == nil {
		return
	}
	if r = r.without(e); r == nil {
		s.data.Invalidate(hash)
		return
	}
	r.known = false
	s.data.Set(hash, r)
}

// promote puts warm, an entry with its content, in the place of the same one without. It is on the disk already.
func (s *store) promote(hash uint64, key string, cold, warm *entry) {
	sh := s.shard(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if r := s.peek(hash, key); r != nil && slices.Contains(r.variants, cold) {
		s.data.Set(hash, r.with(warm, s.most.Load()))
	}
}

// inMemory reports whether anything is in memory for the key with that hash. It does not count as a use.
func (s *store) inMemory(hash uint64) bool {
	_, ok := s.data.GetEntryQuietly(hash)
	return ok
}

// replace puts fresh in the place of old, unless something else is there by now.
func (s *store) replace(hash uint64, key string, old, fresh *entry) {
	sh := s.shard(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if r := s.peek(hash, key); r != nil {
		for _, v := range r.variants {
			if v != old {
				continue
			}
			if r = r.without(old); r == nil { // whose selection may be another one than that of fresh
				r = &resource{key: key}
			}
			s.data.Set(hash, r.with(fresh, s.most.Load()))
			s.disk.Load().renew(hash, key, old, fresh)
			return
		}
	}
}

// drop forgets one answer.
func (s *store) drop(hash uint64, key string, e *entry) {
	sh := s.shard(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.forgets.Add(1)
	if d := s.disk.Load(); d != nil {
		d.drop(fileNameOf(key, &e.choice))
	}
	r := s.peek(hash, key)
	if r == nil {
		return
	}
	if r = r.without(e); r != nil {
		s.data.Set(hash, r)
	} else {
		s.data.Invalidate(hash)
	}
}

// forget forgets all answers for a key, and those that are on their way. It reports whether there were any.
func (s *store) forget(key []byte) bool {
	hash := s.hash(key)
	sh := s.shard(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.forgets.Add(1)
	found := false
	if d := s.disk.Load(); d != nil {
		found = d.forget(keyHash(key))
	}
	if s.peek(hash, string(key)) != nil {
		s.data.Invalidate(hash)
		found = true
	}
	for _, f := range sh.fills[hash] {
		if f.key == string(key) {
			f.doom()
		}
	}
	return found
}

// purge forgets all answers that p wants, in whatever time that takes, and returns how many keys it forgot something of. Not on a loop.
func (s *store) purge(p *purge) (n int) {
	d := s.disk.Load()
	var keys map[uint64]bool // of which something was forgotten, where there may be more of one key on the disk
	forgot := func(key uint64) { keys[key] = true }
	if d != nil {
		keys = map[uint64]bool{}
	}
	s.beginPurge()
	since := d.purge(p, forgot)
	s.beginPurge() // what was recalled from the disk while that was purged is in memory now, or will not be
	for hash, r := range s.data.All() {
		hit := false
		for _, e := range r.variants {
			if p.wants(r.key, e) {
				hit = true
				s.drop(hash, r.key, e)
			}
		}
		if hit && d != nil {
			forgot(keyHash(r.key))
		} else if hit {
			n++
		}
	}
	d.purgeSince(p, since, forgot)
	return n + len(keys)
}

// beginPurge keeps everything out of memory that is on its way there, from wherever.
func (s *store) beginPurge() {
	for i := range s.shards {
		s.shards[i].mu.Lock() // who has seen the former count has put it there by now
	}
	s.purges.Add(1)
	for i := range s.shards {
		s.shards[i].mu.Unlock()
	}
}

// addBackend notes that keys of that backend may be in the store.
func (s *store) addBackend(name string) {
	s.mu.Lock()
	s.backends[name] = true
	s.mu.Unlock()
}

// knownBackends returns the backends whose keys may be in the store.
func (s *store) knownBackends() (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for b := range s.backends {
		list = append(list, b)
	}
	return list
}

// urlOf returns the URL in a key.
func urlOf(key string) string {
	_, url, _ := strings.Cut(key, "\x00")
	return url
}
