package config

import (
	"fmt"
	"path/filepath"
	"strings"

	"gatehouse/cache"
)

// disks refuses directories that two caches would share: what one of them forgets, the other one would not know.
func (d *decoder) disks() {
	var list []*cache.Config
	for _, c := range d.file.Caches {
		if c.Disk == nil || c.Disk.Path == "" || c.Disk.Path == "/" { // which has been said
			continue
		}
		for _, o := range list {
			if within(c.Disk.Path, o.Disk.Path) || within(o.Disk.Path, c.Disk.Path) {
				d.file.Bad(&c.Disk.Path, fmt.Sprintf("disk %q is that of cache %q too", c.Disk.Path, o.Name),
					fmt.Sprintf("It has %q at %s. Give every cache a directory of its own, not within another one's.", o.Disk.Path, spot(d.file.Range(&o.Disk.Path))))
				break
			}
		}
		list = append(list, c)
	}
}

// within reports whether a path is that of a directory, or of something in it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}
