package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/house"
)

func runCommand() *cobra.Command {
	var flags configFlags
	c := &cobra.Command{
		Use:   "run [-c FILE|DIR]... [--var NAME=VALUE]...",
		Short: "Serve",
		Long: `Run serves what the configuration describes, in the foreground, until a signal ends it:

  TERM, INT   stop accepting, let open exchanges finish within global.shutdown_grace, end; a second one ends at once
  USR1        stop accepting and end when the last exchange ends, however long that takes
  USR2        reopen log files

Exit codes: 0 ended by a signal, 1 failed, 2 usage, 3 invalid configuration.`,
		Args: noWords,
		RunE: func(c *cobra.Command, _ []string) error {
			file, names, err := flags.load(c)
			if err != nil {
				return err
			}
			return serve(c, file, names)
		},
	}
	flags.add(c.Flags())
	return c
}

// newLogger makes the log of what an operator wants to know: one line each, on stderr.
func newLogger(c *cobra.Command) *zap.Logger {
	e := zap.NewProductionEncoderConfig()
	e.EncodeTime = zapcore.ISO8601TimeEncoder
	e.EncodeLevel = zapcore.LowercaseLevelEncoder
	e.CallerKey, e.StacktraceKey = zapcore.OmitKey, zapcore.OmitKey
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(e), zapcore.Lock(zapcore.AddSync(c.ErrOrStderr())), zap.InfoLevel))
}

// tuneMemory lets the heap grow to five times what is in use before it is collected: there is little in use, and
// collections cost 3 % of the requests per second. The limit keeps that from being too much on a small machine.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		if n := machineMemory(); n > 0 {
			debug.SetMemoryLimit(n / 10 * 7)
		}
	}
}

// machineMemory returns the bytes of memory this process may use, 0 when that is unknown.
func machineMemory() int64 {
	var most int64
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			var kib int64
			if n, _ := fmt.Sscanf(line, "MemTotal: %d kB", &kib); n == 1 {
				most = kib << 10
			}
		}
	}
	for _, name := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && n > 0 && (most == 0 || n < most) {
			most = n
		}
	}
	return most
}

// serve runs a house until a signal ends it.
func serve(c *cobra.Command, file *config.File, names []string) error {
	tuneMemory()
	log := newLogger(c)
	defer log.Sync()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)

	loops, stop, err := house.StartLoops(log)
	if err != nil {
		return failed(err)
	}
	defer stop()
	h, err := house.New(file, house.Options{Loops: loops, Log: log})
	if err != nil {
		return failed(err)
	}
	if err := h.Start(); err != nil {
		return failed(err)
	}
	if pid := file.Global.PIDFile; pid != "" {
		if err := writePID(pid); err != nil {
			h.Shutdown(canceled())
			return failed(err)
		}
		defer os.Remove(pid)
	}
	log.Info("serving", zap.Strings("configuration", names), zap.Stringers("addresses", h.Addresses()))
	for s := range signals {
		switch s {
		case syscall.SIGUSR2:
			h.ReopenLogs()
			continue
		case syscall.SIGHUP:
			log.Warn("reload is not available in this version; restart to take a new configuration")
			continue
		}
		grace := file.Global.ShutdownGrace
		if s == syscall.SIGUSR1 {
			grace = 0
		}
		return failed(drain(h, log, grace, signals))
	}
	return nil
}

// drain ends the house gracefully, at once when a second signal comes. grace 0 or less: no limit.
func drain(h *house.House, log *zap.Logger, grace time.Duration, signals <-chan os.Signal) error {
	log.Info("stopping", zap.Int("connections", h.Connections()), zap.Duration("grace", grace))
	ctx, cancel := context.WithCancel(context.Background())
	if grace > 0 {
		ctx, cancel = context.WithTimeout(ctx, grace)
	}
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- h.Shutdown(ctx) }()
	for {
		select {
		case err := <-done:
			if err != nil {
				log.Warn("stopped before the last exchange had ended", zap.Error(err))
			} else {
				log.Info("stopped")
			}
			return nil
		case s := <-signals:
			if s == syscall.SIGTERM || s == os.Interrupt {
				cancel()
			}
		}
	}
}

// canceled returns a context that has ended.
func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// writePID writes the number of this process, unless another live process is named there.
func writePID(name string) error {
	if b, err := os.ReadFile(name); err == nil {
		if n, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && n != os.Getpid() && alive(n) {
			return fmt.Errorf("pid file %s names process %d, which is running: end it, or give this one another pid_file", name, n)
		}
	}
	tmp := name + ".new"
	if err := os.WriteFile(tmp, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return fmt.Errorf("pid file: %w", err)
	}
	return os.Rename(tmp, name)
}

// alive reports whether a process is running.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
