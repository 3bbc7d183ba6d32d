package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/tlsconf"
)

func trustCommand() *cobra.Command {
	var flags configFlags
	var install, remove, show bool
	c := &cobra.Command{
		Use:   "trust [--install|--remove|--print] [-c FILE|DIR]...",
		Short: "Have this machine trust the certificates of the internal CA",
		Long: `Trust is about the root certificate of gatehouse's own local CA, which issues the certificates of tls blocks with internal = true. Without
a flag it prints where the root is stored, for "curl --cacert" and for clients on other machines.

  --install   adds it to what this machine trusts: on Debian a file in /usr/local/share/ca-certificates and update-ca-certificates.
              Without the rights to do so, it prints the commands to be run as root
  --remove    takes it out again
  --print     prints the certificate, as PEM

Firefox, and Chromium on Linux, keep a list of their own: import the file there, as an authority for web sites. Whoever can read
the CA's key, root.key beside the root, can pretend to be any site to a machine that trusts it.

Exit codes: 0 well, 1 failed, 2 usage, 3 invalid configuration.`,
		Args: noWords,
		RunE: func(c *cobra.Command, _ []string) error {
			file, diags, err := flags.read()
			if err != nil {
				return err
			}
			if file.Global.StateDir == "" {
				if err := diags.Print(c.ErrOrStderr()); err != nil {
					return failed(err)
				}
				return &failure{exitInvalid, errors.New("where the state directory is cannot be read")}
			}
			root, err := tlsconf.ReadInternalRoot(file.Global.StateDir)
			if errors.Is(err, fs.ErrNotExist) {
				return failed(fmt.Errorf("there is no internal CA below %s: it is made when a tls block with internal = true is served for the first time", file.Global.StateDir))
			} else if err != nil {
				return failed(err)
			}
			switch {
			case show:
				_, err = c.OutOrStdout().Write(root.PEM)
			case install:
				err = trustStores.install(c, root)
			case remove:
				err = trustStores.remove(c, root)
			default:
				if _, err = fmt.Fprintln(c.OutOrStdout(), root.File); err == nil {
					_, err = fmt.Fprintf(c.ErrOrStderr(), "%s, until %s, SHA-256 %s\n%s\n", root.Cert.Subject.CommonName, root.Cert.NotAfter.Format(time.DateOnly),
						fingerprint(root), trustStores.state(root))
				}
			}
			return failed(err)
		},
	}
	flags.add(c.Flags())
	c.Flags().BoolVar(&install, "install", false, "add the root to what this machine trusts")
	c.Flags().BoolVar(&remove, "remove", false, "take it out again")
	c.Flags().BoolVar(&show, "print", false, "print the certificate")
	c.MarkFlagsMutuallyExclusive("install", "remove", "print")
	return c
}

func fingerprint(r *tlsconf.InternalRoot) string {
	sum := sha256.Sum256(r.Cert.Raw)
	return hex.EncodeToString(sum[:])
}

// trustStore is how a kind of system keeps the authorities that its administrator adds.
type trustStore struct {
	dir    string   // of files that are added
	update []string // after that
	remove []string // after a file was removed
}

// systems are the kinds of systems known. The first that is there counts.
type systems []trustStore

var trustStores = systems{
	{"/usr/local/share/ca-certificates", []string{"update-ca-certificates"}, []string{"update-ca-certificates", "--fresh"}}, // Debian, Ubuntu, Alpine
	{"/etc/pki/ca-trust/source/anchors", []string{"update-ca-trust", "extract"}, []string{"update-ca-trust", "extract"}},    // Fedora, RHEL
	{"/etc/ca-certificates/trust-source/anchors", []string{"trust", "extract-compat"}, []string{"trust", "extract-compat"}}, // Arch
	{"/usr/share/pki/trust/anchors", []string{"update-ca-certificates"}, []string{"update-ca-certificates"}},                // SUSE
}

// javaStore is where Debian copies what it trusts to for Java, by a hook that is not told of local files that are gone.
var javaStore = "/etc/ssl/certs/java/cacerts"

// errNoStore is what happens on systems we know nothing about.
var errNoStore = errors.New("how this system keeps the authorities it trusts is not known: import the file by its own means")

// here returns the store of this system.
func (s systems) here() (*trustStore, error) {
	for i := range s {
		if _, err := exec.LookPath(s[i].update[0]); err != nil {
			continue
		}
		if info, err := os.Stat(s[i].dir); err == nil && info.IsDir() {
			return &s[i], nil
		}
	}
	return nil, errNoStore
}

// file returns where a root goes: another root has another name, so that of two CAs both can be trusted.
func (t *trustStore) file(r *tlsconf.InternalRoot) string {
	return filepath.Join(t.dir, "gatehouse-"+fingerprint(r)[:8]+".crt")
}

// state says whether this machine trusts the root.
func (s systems) state(r *tlsconf.InternalRoot) string {
	t, err := s.here()
	if err != nil {
		return err.Error()
	}
	if b, err := os.ReadFile(t.file(r)); err == nil && bytes.Equal(b, r.PEM) {
		return "this machine trusts it, by " + t.file(r)
	}
	return `this machine does not trust it yet: "gatehouse trust --install"`
}

// install adds a root.
func (s systems) install(c *cobra.Command, r *tlsconf.InternalRoot) error {
	t, err := s.here()
	if err != nil {
		return err
	}
	file := t.file(r)
	byHand := fmt.Sprintf("  sudo install -m 0644 %s %s\n  sudo %s\n", r.File, file, strings.Join(t.update, " "))
	if err := replaceFile(file, r.PEM); err != nil {
		return unable(c, err, byHand)
	}
	if err := runTool(c, t.update); err != nil {
		return unable(c, err, byHand)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s is trusted by this machine\n", r.Cert.Subject.CommonName)
	return err
}

// remove takes it out again.
func (s systems) remove(c *cobra.Command, r *tlsconf.InternalRoot) error {
	t, err := s.here()
	if err != nil {
		return err
	}
	file := t.file(r)
	byHand := fmt.Sprintf("  sudo rm %s\n  sudo %s\n", file, strings.Join(t.remove, " "))
	err = os.Remove(file)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s was not trusted by this machine\n", r.Cert.Subject.CommonName)
		return err
	}
	if err == nil {
		err = runTool(c, t.remove)
	}
	if err != nil {
		return unable(c, err, byHand)
	}
	if _, err := os.Stat(javaStore); err == nil {
		alias := "debian:" + strings.TrimSuffix(filepath.Base(file), ".crt") + ".pem"
		fmt.Fprintf(c.ErrOrStderr(), "Java has a list of its own, which may still have it:\n  sudo keytool -delete -alias %s -keystore %s -storepass changeit\n", alias, javaStore)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s is not trusted by this machine any more\n", r.Cert.Subject.CommonName)
	return err
}

// unable says how to do by hand what could not be done.
func unable(c *cobra.Command, err error, byHand string) error {
	if _, err := fmt.Fprintf(c.ErrOrStderr(), "as root, this does it:\n%s", byHand); err != nil {
		return err
	}
	return err
}

// runTool runs a program of the system, which talks on stderr.
func runTool(c *cobra.Command, words []string) error {
	tool := exec.CommandContext(c.Context(), words[0], words[1:]...)
	tool.Stdout, tool.Stderr = c.ErrOrStderr(), c.ErrOrStderr()
	if err := tool.Run(); err != nil {
		return fmt.Errorf("%s: %w", words[0], err)
	}
	return nil
}

// replaceFile writes a file that everybody may read. A reader sees the old content or the new one.
func replaceFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".gatehouse-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
