"""Who is abnormal, in one partition's clicks and by their own times.

Pure: clicks and time are handed in. No Faust, no Kafka, no settings and no clock.
"""
