"""Somebody before a door, drawn: for pictures of the page that may be published."""

from __future__ import annotations

import cv2
import numpy as np

from device.datatypes import Box, Image

FACE: Box = (262.0, 138.0, 388.0, 302.0)
"""Where the drawn face is, in pixels."""
SKIN, HAIR, COAT, SCARF = (222, 178, 146), (74, 48, 38), (52, 78, 112), (206, 96, 74)
WALL, DOOR, FRAME, LIGHT = (196, 184, 166), (96, 62, 46), (222, 214, 200), (255, 226, 150)


def visitor() -> Image:
    """480x640x3 uint8, RGB: a wall, a door, a lamp, and a person who looks at the camera."""
    image = np.full((480, 640, 3), WALL, np.uint8)
    for row in range(0, 480, 32):
        cv2.line(image, (0, row), (640, row), (182, 170, 152), 1, cv2.LINE_AA)
        for column in range((row // 32 % 2) * 40, 640, 80):
            cv2.line(image, (column, row), (column, row + 32), (182, 170, 152), 1, cv2.LINE_AA)
    cv2.rectangle(image, (416, 56), (600, 480), FRAME, -1)
    cv2.rectangle(image, (432, 72), (584, 480), DOOR, -1)
    for top in (100, 280):
        cv2.rectangle(image, (454, top), (562, top + 140), (82, 52, 38), 3, cv2.LINE_AA)
    cv2.circle(image, (450, 262), 8, LIGHT, -1, cv2.LINE_AA)
    glow = np.zeros_like(image)
    cv2.circle(glow, (90, 96), 130, LIGHT, -1, cv2.LINE_AA)
    image = cv2.addWeighted(image, 1.0, cv2.GaussianBlur(glow, (0, 0), 45), 0.16, 0)
    cv2.rectangle(image, (74, 60), (106, 118), (58, 58, 64), -1)
    cv2.rectangle(image, (80, 68), (100, 110), LIGHT, -1)
    _person(image)
    noise = np.random.default_rng(4).normal(0, 3, image.shape)
    return np.clip(cv2.GaussianBlur(image, (0, 0), 0.8) + noise, 0, 255).astype(np.uint8)


def _person(image: Image) -> None:
    cv2.ellipse(image, (325, 520), (190, 190), 0, 180, 360, COAT, -1, cv2.LINE_AA)
    cv2.ellipse(image, (325, 208), (92, 112), 0, 0, 360, HAIR, -1, cv2.LINE_AA)
    cv2.rectangle(image, (295, 270), (355, 350), (206, 160, 130), -1)
    cv2.ellipse(image, (325, 352), (78, 30), 0, 0, 360, SCARF, -1, cv2.LINE_AA)
    cv2.ellipse(image, (325, 222), (68, 88), 0, 0, 360, SKIN, -1, cv2.LINE_AA)
    cv2.ellipse(image, (325, 158), (74, 44), 0, 180, 360, HAIR, -1, cv2.LINE_AA)
    for x in (299, 351):
        cv2.ellipse(image, (x, 212), (13, 8), 0, 0, 360, (250, 248, 244), -1, cv2.LINE_AA)
        cv2.circle(image, (x, 212), 6, (70, 52, 40), -1, cv2.LINE_AA)
        cv2.ellipse(image, (x, 194), (18, 6), 0, 190, 350, HAIR, 4, cv2.LINE_AA)
    cv2.line(image, (325, 216), (320, 246), (196, 148, 118), 3, cv2.LINE_AA)
    cv2.line(image, (320, 246), (332, 248), (196, 148, 118), 3, cv2.LINE_AA)
    cv2.ellipse(image, (325, 266), (26, 12), 0, 10, 170, (168, 74, 70), 4, cv2.LINE_AA)
