"""The Quy chế of communes and provinces: hours, weekends, volume and quotas of loudspeakers."""
