package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// cluster is a Slurm cluster whose only node is this machine. It runs as long as a test does.
type cluster struct{ dir, conf string }

var slurmConf = template.Must(template.New("slurm.conf").Parse(`ClusterName=test
SlurmctldHost={{.Host}}(127.0.0.1)
SlurmctldPort={{.ControllerPort}}
SlurmdPort={{.NodePort}}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A requeued job waits for twice the life of a credential.
AuthInfo=socket={{.Dir}}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={{.Dir}}/state
SlurmdSpoolDir={{.Dir}}/spool
SlurmctldPidFile={{.Dir}}/slurmctld.pid
SlurmdPidFile={{.Dir}}/slurmd.pid
# Without control groups, which containers seldom allow.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
PropagateResourceLimits=NONE
ReturnToService=2
NodeName={{.Host}} NodeAddr=127.0.0.1 CPUs=8 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`))

// startCluster starts Slurm, or skips the test where it is not installed.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("starting Slurm takes root")
	}
	for _, program := range []string{"munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("Slurm is not installed; on Debian: apt-get install slurm-wlm munge")
		}
	}
	c := &cluster{dir: t.TempDir()}
	c.conf = filepath.Join(c.dir, "slurm.conf")
	t.Setenv("SLURM_CONF", c.conf)
	c.configure(t)
	file := func(name string) string { return filepath.Join(c.dir, name) }
	c.daemon(t, "munged", "--foreground", "--force", "--key-file="+file("munge.key"), "--socket="+file("munge.socket"),
		"--pid-file="+file("munge.pid"), "--seed-file="+file("munge.seed"), "--log-file="+file("munge.log"))
	waitUntil(t, "munged listens", func() bool { _, err := os.Stat(file("munge.socket")); return err == nil })
	c.daemon(t, "slurmctld", "-D", "-f", c.conf)
	waitUntil(t, "slurmctld answers", func() bool { return strings.Contains(c.ask("scontrol", "ping"), "is UP") })
	c.daemon(t, "slurmd", "-D", "-f", c.conf)
	waitUntil(t, "the node is idle", func() bool { return strings.Contains(c.ask("sinfo", "-h", "-o", "%T"), "idle") })
	return c
}

func (c *cluster) configure(t *testing.T) {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	host, _, _ = strings.Cut(host, ".")
	var conf bytes.Buffer
	if err := slurmConf.Execute(&conf,
		map[string]any{"Host": host, "Dir": c.dir, "ControllerPort": freePort(t), "NodePort": freePort(t)}); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"slurm.conf": conf.Bytes(),
		"munge.key": bytes.Repeat([]byte("no secret "), 13)} {
		if err := os.WriteFile(filepath.Join(c.dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"state", "spool"} {
		if err := os.Mkdir(filepath.Join(c.dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// daemon starts a program, and stops it when the test ends.
func (c *cluster) daemon(t *testing.T, name string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(c.dir, name+".out"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		killer := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		killer.Stop()
		_ = log.Close()
		if t.Failed() {
			output, _ := os.ReadFile(log.Name())
			t.Logf("%s said:\n%s", name, output)
		}
	})
}

// ask returns the output of one of Slurm's commands, or nothing if it fails.
func (c *cluster) ask(name string, args ...string) string {
	output, err := exec.Command(name, args...).Output()
	if err != nil {
		return ""
	}
	return string(output)
}

func waitUntil(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 2000 {
		if is() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("waited too long until %s", what)
}

// gcmlIn runs the command in a folder and returns what it prints.
func gcmlIn(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("gcml", args...)
	cmd.Dir = dir
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("gcml %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return string(output)
}

// A job array of which one task is killed and requeued has the results of a local sweep.
func TestSlurm(t *testing.T) {
	c := startCluster(t)
	t.Setenv("GOMLX_BACKEND", "go")
	dir := t.TempDir()
	o := runOptions{out: filepath.Join(dir, "cluster"), seeds: []int64{0, 1, 2},
		sets: []string{"steps=20000", "sweep_time=1"}}
	sweep := []string{"sweep", "01", "--scale", "smoke", "--seeds", "0,1,2", "--set", o.sets[0], "--set", o.sets[1],
		"--progress", "none"}
	on := func(out string, more ...string) []string {
		return append(append(append([]string{}, sweep...), "--out", out), more...)
	}
	submitted := gcmlIn(t, dir, on("cluster", "--slurm", "--tasks", "8")...)
	job := strings.TrimSuffix(strings.Fields(submitted[strings.Index(submitted, "submitted as job"):])[3], ",")

	// Task 1 has run 1 alone, a long one.
	planned := planOne(t, o)
	killedRun := runFolder(t, planned, 1)
	waitUntil(t, "run 1 is at work", func() bool {
		log, err := os.ReadFile(filepath.Join(killedRun, "log.jsonl"))
		return err == nil && bytes.Count(log, []byte("\n")) >= 3
	})
	pids := processesIn(dir, "--shard", "1/8")
	if len(pids) != 1 {
		t.Fatalf("processes of task 1: %v; want one", pids)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	task := job + "_1"
	waitUntil(t, "task 1 has failed",
		func() bool { return strings.Contains(c.ask("scontrol", "show", "job", "-o", task), "JobState=FAILED") })
	if _, err := os.Stat(filepath.Join(killedRun, "record.json")); err == nil {
		t.Fatal("the killed run is complete")
	}
	waitUntil(t, "task 1 is requeued", func() bool { return exec.Command("scontrol", "requeue", task).Run() == nil })
	waitUntil(t, "no task is left",
		func() bool { out, err := exec.Command("squeue", "-h").Output(); return err == nil && len(out) == 0 })

	states := c.ask("scontrol", "show", "job", "-o", job)
	if n := strings.Count(states, "JobState=COMPLETED"); n != 8 || !strings.Contains(states, "Restarts=1") {
		t.Errorf("%d of 8 tasks are complete:\n%s", n, states)
	}
	if decided := gcmlIn(t, dir, on("cluster", "--decide")...); !strings.Contains(decided, "01 simplicity-bias: ") {
		t.Errorf("the claims are not decided:\n%s", decided)
	}
	gcmlIn(t, dir, on("local")...)
	assertSameAsLocal(t, planned.Out, filepath.Join(dir, "local", filepath.Base(planned.Out)))
	if record := readFile(t, filepath.Join(killedRun, "record.json")); !strings.Contains(record, `"starts": 2`) {
		t.Errorf("the killed run was not started twice:\n%s", record)
	}
}

func planOne(t *testing.T, o runOptions) *experiment.Planned {
	t.Helper()
	planned, err := o.planAll([]string{"01"}, experiment.Smoke)
	if err != nil {
		t.Fatal(err)
	}
	return planned[0]
}

// runFolder returns the folder of a run.
func runFolder(t *testing.T, planned *experiment.Planned, index int) string {
	t.Helper()
	items := runs.Items(planned.Part)
	address, err := items[index].Address("go")
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(planned.Out, "runs", address)
}

func assertSameAsLocal(t *testing.T, got, local string) {
	t.Helper()
	a, errA := readRecords(got)
	b, errB := readRecords(local)
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if err := compareRecords(a, b); err != nil {
		t.Error(err)
	}
	if a, b := readFile(t, filepath.Join(got, "claims.txt")), readFile(t, filepath.Join(local, "claims.txt")); a != b {
		t.Errorf("the claims are\n%s; want\n%s", a, b)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
