package loop

import "io"

// spliceCopy is Splice through a buffer.
func spliceCopy(dst, src *Conn) (int64, error) {
	if err := dst.Drain(); err != nil { // what is queued goes first
		return 0, err
	}
	var total int64
	for {
		b, n, err := src.ReadBuf(0, BufSize)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		m, err := dst.Write(b[:n])
		src.l.PutBuf(b)
		total += int64(m)
		if err != nil {
			return total, err
		}
	}
}
