import { Trans, useLingui } from '@lingui/react/macro';
import { Dialog } from './Dialog';
import classes from './KeysHelp.module.css';
import { shownKey, usePageKeys } from './keys';

export default function KeysDialog({ onClose }: { onClose: () => void }) {
  const { t } = useLingui();
  const keys = usePageKeys();
  return (
    <Dialog title={t`Keys of this page`} onClose={onClose}>
      <dl className={classes.keys}>
        {[...keys]
          .sort((one, other) => Number(one.waits ?? false) - Number(other.waits ?? false))
          .map(({ key, words, waits }) => (
            <div key={key} className={classes.row} data-waits={waits}>
              <dt>
                <kbd className={classes.key}>{shownKey(key)}</kbd>
              </dt>
              <dd>{words}</dd>
            </div>
          ))}
        <div className={classes.row}>
          <dt>
            <kbd className={classes.key}>↑</kbd> <kbd className={classes.key}>↓</kbd>
          </dt>
          <dd>
            <Trans>From row to row in a table; Enter opens</Trans>
          </dd>
        </div>
        <div className={classes.row}>
          <dt>
            <kbd className={classes.key}>Ctrl</kbd> <kbd className={classes.key}>K</kbd>
          </dt>
          <dd>
            <Trans>Go to a page or an incident, or do something</Trans>
          </dd>
        </div>
      </dl>
      {keys.some(({ waits }) => waits) && (
        <p className={classes.waits}>
          <Trans>The paler ones are for a row: choose one with J and K, or tick some with X.</Trans>
        </p>
      )}
    </Dialog>
  );
}
