"""The publish room: events become MQTT messages, a list of recent events, and pictures."""
