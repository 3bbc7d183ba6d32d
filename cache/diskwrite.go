package cache

import (
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// write is an answer on its way to the disk. Its content is that of the memory tier, or that of the file it shall replace: nothing of it is
// copied.
type write struct {
	fileName
	key       string
	memory    uint64 // the store's hash of the key
	entry     *entry
	due       time.Time // of one that has time; zero: as soon as possible
	begun     bool      // the keeper has it
	cancelled bool      // it must not be found
	spooled   bool      // it is that of a spool: no content waits with it
}

// pinned is how many bytes of content wait with w.
func (w *write) pinned() int64 {
	if w.entry.stored != nil {
		return 0
	}
	return w.entry.size
}

// maxQueue bounds how many answers wait to be written.
const maxQueue = 4096

// stored says in which file the content of an entry is that is not in memory.
type stored struct {
	d *disk
	found
	id       uint64 // of the content
	promoted flag   // somebody brings it into memory
}

// put lets an answer be written, in the place of what there is of its name. When there is no room in the queue it is not; then there is nothing
// of its name, as it would be older than what clients have seen. hash is the store's.
func (d *disk) put(hash uint64, key string, e *entry) {
	if d == nil {
		return
	}
	w := &write{fileName: fileNameOf(key, &e.choice), key: key, memory: hash, entry: e}
	if e.stored != nil && e.stored.d != d {
		return // of a directory that is not used any more
	}
	d.mu.Lock()
	defer d.ring()
	defer d.mu.Unlock()
	if d.state == diskClosed || d.ending {
		return
	}
	there := d.unindex(w.fileName.key, &w.fileName, false) // its file will be replaced, or removed
	for _, o := range d.pending[w.fileName.key] {
		if o.fileName != w.fileName {
			continue
		}
		if !o.begun && !o.cancelled && o.due.IsZero() && o.key == key { // it was not written yet, and never needs to be
			d.queued += w.pinned() - o.pinned()
			o.entry = e
			return
		}
		o.cancelled = true
	}
	if d.queued > 0 && d.queued+w.pinned() > d.most || len(d.queue) >= maxQueue || d.paused() {
		d.s.Stats.DiskDropped.Add(1)
		if there { // else whoever took it out of the index has seen to it
			d.doomed = append(d.doomed, w.fileName)
		}
		return
	}
	d.queued += w.pinned()
	d.queue = append(d.queue, w)
	d.pending[w.fileName.key] = append(d.pending[w.fileName.key], w)
}

// paused reports whether writing has failed a moment ago. mu is held.
func (d *disk) paused() bool { return time.Now().Before(d.pause) }

// next takes a write off a queue, nil when there is none. wait is when the next one will be due, 0 for never.
func (d *disk) next() (w *write, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		from := &d.queue
		if len(d.later) > 0 {
			if wait = time.Until(d.later[0].due); wait <= 0 || d.ending {
				from = &d.later
			}
		}
		if len(*from) == 0 {
			*from = nil
			return nil, wait
		}
		w, (*from)[0], *from = (*from)[0], nil, (*from)[1:]
		if !w.cancelled {
			w.begun = true
			return w, 0
		}
		d.settled(w)
	}
}

// settled ends a write. mu is held.
func (d *disk) settled(w *write) {
	if !w.spooled {
		d.queued -= w.pinned()
	}
	list := d.pending[w.fileName.key]
	for i, o := range list {
		if o == w {
			list[i] = list[len(list)-1]
			list = list[:len(list)-1]
			break
		}
	}
	if len(list) == 0 {
		delete(d.pending, w.fileName.key)
	} else {
		d.pending[w.fileName.key] = list
	}
}

// writeNext writes one answer. It reports whether there was one, and else when there will be.
func (d *disk) writeNext() (did bool, wait time.Duration) {
	w, wait := d.next()
	if w == nil {
		return false, wait
	}
	temp := d.tempName()
	n, err := d.writeFile(temp, w)
	d.written(temp, w, n, err)
	return true, 0
}

// written ends the write of a file that is finished, or failed with err.
func (d *disk) written(temp string, w *write, size int64, err error) {
	if err == nil {
		err = d.commit(temp, w, size)
	}
	switch {
	case err == nil:
		d.recovered()
		return
	case errors.Is(err, errGivenUp):
	default:
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			d.yield(size)
		}
		d.fail("write", err)
	}
	if temp != "" {
		d.fs.remove(temp)
	}
	d.mu.Lock()
	d.settled(w)
	d.doomed = append(d.doomed, w.fileName) // what it was to replace
	if !w.cancelled {
		d.s.Stats.DiskDropped.Add(1)
	}
	d.mu.Unlock()
}

// errGivenUp ends a write that is of no use.
var errGivenUp = errors.New("given up")

// yield gives back room on a disk that has none left, though we have not used what we were given: the others on it need it more.
func (d *disk) yield(n int64) {
	for n = max(n, 1<<20); n > 0; {
		d.mu.Lock()
		i := d.index.victim(d.s.inMemory)
		if i == 0 {
			d.mu.Unlock()
			return
		}
		r := *d.index.at(i)
		d.index.remove(i)
		d.mu.Unlock()
		d.s.Stats.DiskEvicted.Add(1)
		d.unlink(r.fileName)
		n -= r.bytes()
	}
}

// writeFile writes the file of an answer and returns its size.
func (d *disk) writeFile(temp string, w *write) (size int64, err error) {
	e := w.entry
	h := diskHead{id: rand.Uint64(), size: e.size}
	var from *os.File
	if e.stored != nil {
		if from, h.from, err = d.openStored(e.stored, e.size); err != nil {
			return 0, errGivenUp
		}
		defer from.Close()
		h.id = e.stored.id
	}
	b := appendDiskHead(d.scratch[:0], w.key, e, h.id, d.epoch, 0)
	d.scratch = b[:0]
	if len(b) > maxDiskHead {
		return 0, errGivenUp
	}
	body := h.from
	h.from = int64(len(b))
	size = h.fileSize()
	if err := d.makeRoom(size); err != nil {
		return size, err
	}
	f, err := d.fs.create(temp)
	if err != nil {
		return size, err
	}
	if from != nil {
		if _, err = f.Write(b); err == nil {
			_, err = io.Copy(f, io.NewSectionReader(from, body, h.size+sums(h.size)*sumSize))
		}
	} else {
		err = d.writeContent(f, b, h.id, e)
	}
	if err2 := f.Close(); err == nil {
		err = err2
	}
	return size, err
}

// batch is how much is written at once.
const batch = 4 * chunkSize

// writeContent writes what stands in b, and the content behind it.
func (d *disk) writeContent(f file, b []byte, id uint64, e *entry) error {
	var table []byte
	flush := func() error {
		_, err := f.Write(b)
		d.scratch, b = b[:0], b[:0]
		return err
	}
	for i, c := range e.content {
		table = binary.LittleEndian.AppendUint32(table, blockSum(id, int64(i), c))
		if len(b)+len(c) > batch {
			if err := flush(); err != nil {
				return err
			}
		}
		b = append(b, c...)
	}
	b = append(b, table...)
	return flush()
}

// makeRoom makes room for a file of that size.
func (d *disk) makeRoom(size int64) error {
	need := int64(blocksOf(size)) * diskBlock
	d.mu.Lock()
	most := d.size
	d.mu.Unlock()
	if need > most {
		return errGivenUp
	}
	for {
		n, over := d.evict(need)
		if !over {
			return nil
		}
		d.unlink(n)
	}
}

// commit gives a finished file its name, unless it is not wanted any more.
func (d *disk) commit(temp string, w *write, size int64) error {
	d.mu.Lock()
	given := w.cancelled
	d.mu.Unlock()
	if given {
		return errGivenUp
	}
	path := filepath.Join(d.dir, w.path())
	err := d.fs.rename(temp, path)
	if os.IsNotExist(err) {
		if err = os.Mkdir(filepath.Dir(path), 0o700); err == nil {
			err = d.fs.rename(temp, path)
		}
	}
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settled(w)
	if w.cancelled {
		d.doomed = append(d.doomed, w.fileName)
		return nil
	}
	d.seq++
	out, pushed := d.index.add(record{fileName: w.fileName, memory: w.memory, tags: tagBits(&w.entry.head), seq: d.seq, blocks: blocksOf(size)})
	if pushed {
		d.doomed = append(d.doomed, out)
	}
	d.s.Stats.DiskStored.Add(1)
	d.s.Stats.DiskWritten.Add(uint64(size))
	return nil
}
