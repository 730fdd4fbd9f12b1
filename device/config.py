"""Every setting once: its type, unit, default, and one sentence. Read from YAML by `device.configfile`; documented by `make docs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Point = tuple[Fraction, Fraction]
Polygon = Annotated[list[Point], Field(min_length=3, max_length=64)]


class Section(BaseModel):
    """A block of settings: unknown keys are errors, values are not changed after loading, the docstring under a field documents it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Device(Section):
    """Who this device is."""

    id: Identifier = "sereno"
    """Name in MQTT topics: lower-case letters, digits, `-` and `_`."""
    name: str = Field("Sereno", max_length=64)
    """Name that people read, on the page and in Home Assistant."""
    role: Literal["camera", "door"]
    """What this device does. The only setting without a default."""


class ObjectFilter(Section):
    """Which detections of a label count."""

    min_score: Fraction = 0.5
    """An object's best confidence must reach this (0 to 1) before it makes an event."""
    min_area: int = Field(0, ge=0)
    """Boxes smaller than this many pixels of the frame are dropped."""
    max_area: int | None = Field(None, gt=0)
    """Boxes larger than this many pixels are dropped; empty for no limit."""
    min_ratio: float = Field(0, ge=0)
    """Boxes whose width divided by height is less are dropped."""
    max_ratio: float | None = Field(None, gt=0)
    """Boxes whose width divided by height is more are dropped; empty for no limit."""


class Zone(Section):
    """A named part of the picture."""

    polygon: Polygon
    """Corners as [x, y] pairs, each from 0 (left, top) to 1 (right, bottom)."""
    objects: list[str] = []
    """Labels that this zone reports; empty means every label of the camera."""


class Motion(Section):
    """The gate in front of the detector: a still scene costs next to nothing."""

    enabled: bool = True
    """Look for motion first; `false` runs the detector on every frame."""
    threshold: int = Field(18, ge=1, le=255)
    """Grey levels (of 255) a pixel must differ from the learnt background, beyond its own noise."""
    min_area: Fraction = 0.001
    """Part of the picture (0 to 1) that must move at once: a person a tenth of its height, whom the detector just sees."""
    idle_interval_s: Seconds = 10.0
    """In a still scene one frame is looked at each so many seconds all the same."""
    off_delay_s: Seconds = 3.0
    """The motion topic turns OFF when nothing has moved for so many seconds: somebody who pauses has not left."""


class Tracking(Section):
    """How detections become objects."""

    confirm_s: float = Field(0.5, ge=0, le=10)
    """An object must have been followed for so many seconds before it makes an event: a flicker is none."""
    lost_s: Seconds = 2.0
    """An object that moves ends when it has not been seen for so many seconds."""
    stationary_s: Seconds = 5.0
    """An object that has not moved for so many seconds is stationary: it stays one event however long it stays."""
    stationary_lost_s: Seconds = 20.0
    """A stationary object ends when it has not been seen for so many seconds: the detector may miss a parked car for a while."""
    update_interval_s: Seconds = 5.0
    """At most one `update` event an object in so many seconds, unless its zones or its rest change."""


class Tamper(Section):
    """Was the camera covered, blinded or turned away?"""

    enabled: bool = True
    """Watch for it."""
    after_s: Seconds = 5.0
    """The picture must have been dark, flat or foreign for so many seconds."""


class Camera(Section):
    """One camera, or one file that stands for it."""

    id: Identifier = "front"
    """Name in MQTT topics and on the page."""
    source: str = "demo"
    """`picamera2`, `/dev/video0`, `rtsp://…`, `http://…`, `demo` (camera 0 or, where there is none, footage), or a video file or folder of pictures, relative to this file."""
    width: int = Field(640, ge=32, le=7680)
    """Pixels across that the camera is asked for. Files keep their own size."""
    height: int = Field(480, ge=32, le=4320)
    """Pixels down that the camera is asked for. Files keep their own size."""
    pace: Literal["real", "fast"] = "real"
    """Of a file: at its own speed, or as fast as frames are consumed. A frame's time is its presentation time either way."""
    loop: bool = False
    """Of a file: start again at its end, for ever."""
    fps: float = Field(10.0, ge=0.1, le=120)
    """Frames looked at each second, at most."""
    rotate: Literal[0, 90, 180, 270] = 0
    """Turn the picture clockwise by so many degrees."""
    picamera_stream: Literal["main", "lores"] = "main"
    """Of `picamera2`: which stream is read. `lores` needs less memory traffic, and is as large as `width` and `height` say."""
    hang_s: float = Field(10.0, gt=0, le=20)
    """No new frame, or the very same one again and again, for so many seconds: the camera hangs and is reopened."""
    objects: dict[str, ObjectFilter] = {"person": ObjectFilter()}
    """Labels that make events: a list, or each with its filter, as in `{person: {min_score: 0.6, min_area: 500}}`."""
    zones: dict[Identifier, Zone] = {}
    """Named polygons; an event says which it is in and which it has entered."""
    masks: list[Polygon] = []
    """Polygons where nothing counts: objects standing in one (by the middle of their lower edge) are dropped, motion there is ignored."""
    motion: Motion = Motion()
    """The motion gate."""
    tracking: Tracking = Tracking()
    """The tracker and the life of an event."""
    tamper: Tamper = Tamper()
    """The tamper alarm."""

    @field_validator("objects", mode="before")
    @classmethod
    def _labels_alone(cls, value: object) -> object:
        """Let `[person, car]` stand for `{person: {}, car: {}}`."""
        if isinstance(value, list) and all(isinstance(label, str) for label in value):
            return {label: {} for label in value}
        if isinstance(value, dict):
            return {label: {} if given is None else given for label, given in value.items()}
        return value


class Model(Section):
    """The detector."""

    path: str = "sereno-coco-320"
    """A bundle's folder, or the bare name of one under `$SERENO_MODELS`, the install's `models/` or `.cache/bundles`."""
    runtime: Literal["auto", "litert", "onnxruntime"] = "auto"
    """Which of the bundle's files to run; `auto` takes LiteRT where it can."""
    threads: int = Field(2, ge=1, le=16)
    """Threads of the interpreter. More are not always faster: measure."""
    confidence: Fraction = 0.1
    """Detections below this score are not looked at. Low on purpose: weak ones carry a track through an occlusion, and what makes an event is `cameras[].objects.*.min_score`."""
    require_signature: bool = False
    """Refuse bundles that are not signed by a trusted key. Signing is not built yet, so `true` refuses every bundle."""


class Tls(Section):
    """Encryption of the connection to the broker."""

    enabled: bool = False
    """Speak TLS."""
    ca: Path | None = None
    """Certificate authority file (PEM); empty for those the system trusts."""
    cert: Path | None = None
    """This device's certificate (PEM), where the broker asks for one."""
    key: Path | None = None
    """The certificate's private key (PEM)."""


class Mqtt(Section):
    """Where events go."""

    enabled: bool = True
    """Publish to a broker."""
    embedded: bool = False
    """Start a broker inside this process, for a demonstration: it listens on this machine only, on `port` or, where that is taken, on a free one."""
    host: str = "127.0.0.1"
    """The broker's name or address."""
    port: int = Field(1883, ge=1, le=65535)
    """The broker's port; 8883 is customary with TLS."""
    username: str | None = None
    """User name at the broker."""
    password: SecretStr | None = None
    """Password at the broker: better `!file path` or `${ENV}` than in clear."""
    topic_prefix: str = Field("sereno", pattern=r"^[^+#\s]+$")
    """First part of every topic."""
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    """MQTT version; `auto` speaks 5, and 3.1.1 to a broker that refuses 5."""
    keepalive_s: int = Field(30, ge=5, le=3600)
    """A dead connection is noticed after about so many seconds."""
    outbox_max: int = Field(20_000, ge=100)
    """Messages kept while the broker is away; beyond it the oldest `update` events go first, and are counted."""
    status_interval_s: Seconds = 60.0
    """Seconds between two `status` messages."""
    tls: Tls = Tls()
    """Encryption."""

    @field_validator("protocol", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        """YAML reads a bare 5 as a number."""
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Web(Section):
    """The status page."""

    enabled: bool = True
    """Serve it."""
    host: str = "127.0.0.1"
    """Address to listen on. 127.0.0.1 is this machine only; 0.0.0.0 everyone who can reach it."""
    port: int = Field(8080, ge=1, le=65535)
    """Port to listen on."""
    live_fps: float = Field(5.0, gt=0, le=30)
    """Pictures a second in the live view, for each viewer."""
    allowed_hosts: list[str] = Field([], max_length=32)
    """Names under which browsers may call the page, beside this machine's own, its addresses, `localhost` and `*.local`: any other is refused, since a foreign site could use it."""


class Storage(Section):
    """What is kept on disk."""

    path: Path | None = None
    """Folder for the outbox, snapshots and users. Empty: `/var/lib/sereno` as a service, `$XDG_STATE_HOME/sereno` when a person runs it."""
    snapshots_max_mb: int = Field(200, ge=1)
    """Snapshots use at most so many megabytes; the oldest go first."""
    snapshots_max_days: float = Field(14, gt=0)
    """Snapshots and the list of events go after so many days."""
    min_free_mb: int = Field(100, ge=0)
    """Below so much free space no snapshots are written."""


class Privacy(Section):
    """What pictures leave the device."""

    snapshots: bool = True
    """Keep snapshots on disk and show them on the page."""
    publish_snapshots: bool = True
    """Send snapshots by MQTT, too."""
    publish_names: bool = False
    """Put names into the door's messages, too, beside the random id that stands for a person: whoever reads the broker then knows who came when, also after `people forget`."""


class DoorPolicy(Section):
    """Who is let in on what evidence; docs/access-policy.md gives the reason of each default."""

    agreeing_frames: int = Field(3, ge=1, le=30)
    """So many good frames of one face must show the same living person …"""
    window_frames: int = Field(5, ge=1, le=60)
    """… among the last so many good ones of it, `agreeing_frames` at least …"""
    window_s: Seconds = 2.0
    """… that are not older than so many seconds."""
    near_margin: Fraction = 0.08
    """A face that misses the threshold by at most this much counts towards a lockout."""
    runner_up_margin: Fraction = 0.08
    """The person must be ahead of the next one by this much (cosine)."""
    several_people: Literal["refuse", "recognised", "ignore"] = "recognised"
    """Who else may stand in the zone when a person is let in: nobody, only people who are recognised themselves, anybody."""
    grant_while_open: bool = False
    """Let people in also while the door's contact says that it is open."""
    without_clock: Literal["deny", "ignore"] = "deny"
    """What becomes of people with a schedule or an end of validity while nobody can vouch for this machine's clock: denied, or their times ignored."""
    attempt_timeout_s: Seconds = 8.0
    """An attempt that is not decided after so many seconds is denied."""
    retry_pause_s: Seconds = 3.0
    """Who was denied for want of evidence and stays may try again after so many seconds."""
    max_frame_age_s: float = Field(1.0, gt=0, le=10)
    """A frame that is older opens nothing."""
    lockout_after: int = Field(5, ge=1, le=1000)
    """The first lockout comes with so many failed liveness checks and near misses."""
    lockout_base_s: Seconds = 30.0
    """It lasts so many seconds; each further one doubles that …"""
    lockout_max_s: Seconds = 900.0
    """… up to so many."""
    forgive_s: Seconds = 3600.0
    """What counted towards a lockout is forgotten after so many seconds of calm."""


class Lock(Section):
    """The wires of the door. GPIO numbers are those of the processor (BCM), as `GPIO17` in docs/hardware.md."""

    driver: Literal["gpio", "mock"] = "gpio"
    """`gpio` moves a lock; `mock` moves none, and writes down what it would have done."""
    pin: int | None = Field(None, ge=0, le=27)
    """Of the lock's relay or driver; `gpio` needs it. There is no default: a wrong guess would move something else."""
    chip: int | None = Field(None, ge=0, le=64)
    """N of /dev/gpiochipN. Empty: the one behind the 40-pin header."""
    active_high: bool = True
    """Whether the relay is energised by a high level; false for the usual relay boards that want a low one."""
    strike: Literal["fail-secure", "fail-safe"] = "fail-secure"
    """`fail-secure`: power opens it, without power it is shut. `fail-safe`: power holds it shut."""
    unlock_s: float = Field(3.0, gt=0, le=30)
    """The lock is released for so many seconds."""
    max_unlock_s: float = Field(10.0, gt=0, le=60)
    """It goes to rest after so many seconds whatever happens: the small process that owns the pin sees to that by itself."""
    contact_pin: int | None = Field(None, ge=0, le=27)
    """Of the door's contact, which closes to ground while the door is shut."""
    held_open_s: Seconds = 30.0
    """A door that stays open for longer after somebody was let in is an alarm."""
    tamper_pin: int | None = Field(None, ge=0, le=27)
    """Of the case's tamper switch, which closes to ground while the case is shut."""
    exit_pin: int | None = Field(None, ge=0, le=27)
    """Of a second contact of the exit button, which closes to ground while it is pressed: who leaves has not forced the door. The button itself opens the lock without this device."""
    granted_pin: int | None = Field(None, ge=0, le=27)
    """Of a lamp for `granted`."""
    denied_pin: int | None = Field(None, ge=0, le=27)
    """Of a lamp for `denied`."""
    look_pin: int | None = Field(None, ge=0, le=27)
    """Of a lamp for "look here"."""
    buzzer_pin: int | None = Field(None, ge=0, le=27)
    """Of a buzzer."""


class Door(Section):
    """The door unit: `device.role: door`. It has one camera, the first of `cameras`."""

    zone: Polygon | None = None
    """Where a face must be to be let in: corners as [x, y] pairs, each from 0 (left, top) to 1 (right, bottom). Empty: anywhere in the picture."""
    detector: str | None = None
    """The face detector: a bundle's folder or name, of task `face-detect`. Empty: `yunet` or, where that is not there, `blazeface`."""
    model: str = "sereno-arcface"
    """The face embedder: a bundle's folder or name, of task `embed`. The gallery is bound to it."""
    threads: int = Field(1, ge=1, le=16)
    """Threads of each model."""
    min_face_px: int = Field(48, ge=20, le=2000)
    """Faces whose box is smaller than so many pixels are not good enough."""
    liveness: Literal["passive", "challenge", "off"] = "passive"
    """`passive` looks whether a face is alive; `challenge` asks for a turn of the head, too; `off` lets a photo in."""
    target_fmr: float = Field(1e-4, ge=1e-6, le=1e-2)
    """Rate at which a stranger may be taken for anybody of the gallery; the more people are in it, the higher is the threshold."""
    policy: DoorPolicy = DoorPolicy()
    """Evidence, companions, clock, lockout."""
    lock: Lock = Lock()
    """Lock, contact, lamps."""


class Config(Section):
    """A whole configuration."""

    device: Device
    cameras: list[Camera] = Field(default=[Camera()], min_length=1, max_length=16)
    """The cameras."""
    model: Model = Model()
    door: Door = Door()
    mqtt: Mqtt = Mqtt()
    web: Web = Web()
    storage: Storage = Storage()
    privacy: Privacy = Privacy()

    @model_validator(mode="after")
    def _unique_cameras(self) -> Config:
        """Refuse two cameras of one id."""
        ids = [camera.id for camera in self.cameras]
        for camera_id in ids:
            if ids.count(camera_id) > 1:
                raise ValueError(f"two cameras have the id {camera_id!r}; each needs its own")
        return self

    @model_validator(mode="after")
    def _complete_door(self) -> Config:
        """Ask a door for what it cannot do without."""
        if self.device.role != "door":
            return self
        lock, policy = self.door.lock, self.door.policy
        if lock.driver == "gpio" and lock.pin is None:
            raise ValueError("door.lock.pin: the lock's GPIO is missing; name it, or set door.lock.driver to `mock`")
        if lock.unlock_s > lock.max_unlock_s:
            raise ValueError(f"door.lock.unlock_s: {lock.unlock_s:g} is more than max_unlock_s, {lock.max_unlock_s:g}")
        names = [name for name in Lock.model_fields if name == "pin" or name.endswith("_pin")]
        taken: dict[int, str] = {}
        for name in names:
            pin = getattr(lock, name)
            if pin is not None and (other := taken.setdefault(pin, name)) != name:
                raise ValueError(f"door.lock.{name}: GPIO {pin} is {other} already; each needs its own")
        if policy.window_frames < policy.agreeing_frames:
            raise ValueError("door.policy.window_frames: is less than agreeing_frames, so that nobody could be let in")
        if policy.lockout_max_s < policy.lockout_base_s:
            raise ValueError("door.policy.lockout_max_s: is less than lockout_base_s")
        if len(self.cameras) != 1:
            raise ValueError(f"cameras: a door has one camera; here are {len(self.cameras)}")
        return self
